"""What TensorRT's programs and libraries print when they fail, and what to do about it."""

import re
import signal
from collections.abc import Iterable, Sequence
from pathlib import Path

from attrs import evolve, frozen

from polyyolo.engines.running import Ended
from polyyolo.errors import InputError, PolyYoloError, ToolchainError, ToolFailed
from polyyolo.records import Command

DISK_FULL = re.compile(
    r"No space left on device|Errno 28|Disk quota exceeded|File too large|Saving engine to file failed|SIGXFSZ|"
    r"Cannot write to FileStreamWriter|Error when reading engine file",
    re.IGNORECASE,
)
"""trtexec writes an engine as it is built from 10.13 on, and reads it back: what could not be written ends it there."""

PASSED = "&&&& PASSED"
"""What trtexec prints at last, whatever its exit status."""
HELP = "=== Model Options ===", "--help, -h "
"""What the first and the last line of trtexec's help hold."""
ROOM = "free some space"
TAIL_LINES, TAIL_WIDTH = 12, 400
"""So much of what a program printed last is shown with its failure: TensorRT names hundreds of layers in one line."""


@frozen
class Cause:
    """Why something failed, told by its words.

    Where several are said the first of ``KNOWN`` counts. TensorRT for RTX tells of the missing driver behind every
    error on a machine without a GPU, so that comes last.

    Attributes:
        pattern: in what was printed; its named groups can be used in the texts.
        what: a sentence's end after the name of an engine that was to be loaded; empty for failures of builds.
        turn: whose turn it is then, as the kind of error.
        of_builds: whether builds fail so, too; one goes on where it says this of its timing cache.
    """

    pattern: str
    fix: str
    what: str = ""
    turn: type[PolyYoloError] = ToolFailed
    of_builds: bool = True


KNOWN = (
    Cause(
        r"expecting library version (?P<here>\d+(?:\.\d+)*) got (?P<built>\d+(?:\.\d+)*)",
        "rebuild it here: polyyolo build MODEL.onnx, or install TensorRT {built}",
        "was built with TensorRT {built}, and {here} is here: engines do not move between versions",
        ToolchainError,
    ),
    Cause(
        r"expecting compute (?P<here>\d+(?:\.\d+)*) got compute (?P<built>\d+(?:\.\d+)*)",
        "rebuild it on this GPU: polyyolo build MODEL.onnx",
        "was built on a GPU of compute capability {built}, and this one has {here}: engines do not move between GPUs",
        ToolchainError,
    ),
    Cause(
        r"VersionRead == \w*serializationVersion|(Version|Magic) tag does not match|magic tag .* version",
        "rebuild it here: polyyolo build MODEL.onnx; polyyolo inspect engine tells what it was built with",
        "was built with another version of TensorRT than the one here",
        ToolchainError,
        of_builds=False,
    ),
    Cause(
        r"magicTag == rt::kPLAN_MAGIC_TAG|Failed to verify a plan tag",
        "name an engine; polyyolo inspect engine tells what a file is",
        "is no engine of TensorRT",
        InputError,
    ),
    Cause(
        r"header\.size == blobSize|blobSize >|cursor [<=]=? blobSize|Plan file is incorrect|Failed to read plan file",
        "it was cut or damaged: copy or build it again",
        "is not as long as its header promises",
        InputError,
    ),
    Cause(r"Error opening engine file", "name the file that the build wrote", "cannot be opened", InputError),
    Cause(
        r"satisfyProfile|does not satisfy any optimization profile|do not match the static shapes|Static dimension "
        r"mismatch",
        "polyyolo inspect engine shows what it takes, on a machine with its TensorRT; or build it with a wider profile",
        "does not take these shapes: they are outside its profiles",
        InputError,
    ),
    Cause(
        r'Cannot find input tensor with name "(?P<what>[^"]*)" in the engine',
        "name one of its own inputs; polyyolo inspect model shows those of the ONNX that it was built from",
        "has no input {what!r}",
        InputError,
    ),
    Cause(
        r"does not support this compute capability|Compute capability \S+ .*not supported|no kernel image|"
        r"Target GPU SM \d+ is not supported|Unsupported SM\b",
        "this TensorRT does not know that GPU: install a release that does, or name another GPU",
        "cannot be run: this TensorRT does not know the GPU here",
        ToolchainError,
    ),
    Cause(
        r"Int8 constant is only allowed before DQ|isWeightedSum is not relevant for Q/DQ|LLVM ERROR: out of memory",
        "scales and zero-points that nodes compute do this, with memory free, too: polyyolo inspect qdq --fix makes "
        "constants of them",
    ),
    Cause(
        r"out.of.memory|OutOfMemory|MemoryAllocation|Requested amount of GPU memory|CUDA initialization failure with "
        r"error: 2\b|Cannot allocate memory|bad_alloc|MemoryError",
        "free memory (other programs may hold the GPU's), or lower max in the profile or the batch",
        "does not fit into the memory that is free",
        ToolchainError,
    ),
    Cause(r"No module named '?tensorrt_rtx", "pip install 'polyyolo[rtx]'"),
    Cause(r"No module named '?tensorrt", "pip install 'polyyolo[tensorrt]'"),
    Cause(
        r"Unknown option: (?P<what>\S+)",
        "this trtexec does not know {what}, or not twice: leave it out of the words behind --, or build with a "
        "release that has it",
    ),
    Cause(
        r"Plugin not found",
        "the model holds a plugin that this builder has not, as TensorRT for RTX has none for NMS: build it with "
        "TensorRT, or export it without",
    ),
    Cause(
        r"SymbolAddress for \S+ could not be loaded|Unable to load library: \S*cu(blas|dnn)",
        "a library of CUDA's that TensorRT loads, as cuBLAS or cuDNN, is missing or of another version: install the "
        "one that this release asks for",
    ),
    Cause(
        r"PluginFieldCollection missing required fields: \{(?P<what>[^}]*)\}",
        "a plugin in the ONNX lacks {what}, which TensorRT wants to be told: export the model with it, or without NMS",
    ),
    Cause(
        r"No importer registered for op(?!.*Attempting to import as plugin)|Unsupported operator|UNSUPPORTED_NODE",
        "the model holds an operator that this TensorRT does not know: polyyolo surgeon simplify may remove it",
    ),
    Cause(
        r"Cannot find input tensor with name",
        "the profile names another model's inputs: polyyolo inspect model shows this one's",
    ),
    Cause(
        r"Could not open file|Failed to open file",
        "the model is not where it was said to be, or may not be read",
    ),
    Cause(
        r"Invalid Node - (?P<what>\S+)",
        "this TensorRT does not take the node {what} of the ONNX: polyyolo inspect model tells what the model is, and "
        "inspect qdq what is wrong with its Q/DQ nodes",
    ),
    Cause(
        r"Failed to parse ONNX model|Failed to parse onnx file",
        "the ONNX is damaged or holds what this TensorRT does not know: polyyolo inspect model tells which",
    ),
    Cause(
        r"Static model does not take explicit shapes",
        "the model's shapes are fixed: leave the shapes out",
    ),
    Cause(
        r"CUDA driver version is insufficient|CUDA initialization failure|no CUDA-capable device",
        "TensorRT needs a working NVIDIA driver and GPU, also to run engines; --toolchain rtx builds without",
        "cannot be run: CUDA finds no GPU that it can use",
        ToolchainError,
    ),
)


def cause_of(lines: Sequence[str], among: Iterable[Cause] = KNOWN) -> Cause | None:
    """Find a failure whose words are known; its texts are filled in."""
    text = "\n".join(_without_help(lines))
    for cause in among:
        found = re.search(cause.pattern, text, re.IGNORECASE)
        if found:
            told = found.groupdict()
            return evolve(cause, fix=cause.fix.format(**told), what=cause.what.format(**told))
    return None


def fix_for(lines: Sequence[str]) -> str:
    """Find what to do about a build's failure whose words are known; else point to the log."""
    if _found_no_room(lines):
        return ROOM
    cause = cause_of(lines, (each for each in KNOWN if each.of_builds))
    return cause.fix if cause else "the log holds all that it said"


def failure(what: str, command: Command, ended: Ended, log: Path, *, room: str = "") -> ToolchainError | ToolFailed:
    """Make the error for a program that failed; the caller raises it.

    Args:
        what: a sentence's end after the program's name, as ``end_of`` gives it.
        command: that was run.
        ended: with the lines that tell why.
        log: of the run.
        room: how else a full disk is helped than by freeing space: "choose another folder with -o".
    """
    program = Path(command.argv[0]).name
    if _found_no_room((what, *ended.lines)):
        fix = f"{ROOM}, or {room}" if room else ROOM
        return ToolchainError(f"{program} {what}: no space is left on the disk (log: {log})", fix=fix)
    return ToolFailed(
        f"{program} {what}",
        fix=fix_for(ended.lines),
        argv=command.argv,
        status=ended.status,
        tail=tail_of(ended.lines),
        log_path=log,
    )


def tail_of(lines: Sequence[str]) -> str:
    """Give the last lines, each cut where it is longer than anybody reads."""
    last = _without_help(lines)[-TAIL_LINES:]
    return "\n".join(line if len(line) <= TAIL_WIDTH else f"{line[:TAIL_WIDTH]}..." for line in last)


def _without_help(lines: Sequence[str]) -> Sequence[str]:
    """Leave out the help, some 230 lines, that trtexec prints with an error: behind it from 8.6 to 9.3, else before."""
    first, last = (next((at for at, line in enumerate(lines) if edge in line), -1) for edge in HELP)
    return (*lines[:first], *lines[last + 1 :]) if 0 <= first < last else lines


def _found_no_room(lines: Sequence[str]) -> bool:
    return any(DISK_FULL.search(line) for line in lines)


def end_of(ended: Ended) -> str:
    """Say how a program ended, in the words of whoever looks for the cause."""
    killer = -ended.status if ended.status < 0 else ended.status - 128 if ended.status > 128 else 0
    said = " although it said PASSED" if any(PASSED in line for line in ended.lines) else ""
    if killer:
        name = signal.Signals(killer).name if killer in set(signal.Signals) else f"signal {killer}"
        memory = ", as the system does when memory runs out" if name == "SIGKILL" else ""
        return f"was killed by {name}{memory}{said}"
    return f"ended with status {ended.status}{said}"
