"""Every way in which a real trtexec failed is one cause with its own words and its own remedy."""

import pytest

from polyyolo.engines.failures import DISK_FULL, cause_of, end_of, fix_for, tail_of
from polyyolo.engines.running import Ended
from polyyolo.errors import InputError, ToolchainError

RECORDED = {
    "load_missing": ("cannot be opened", "name the file that the build wrote"),
    "load_garbage": ("is no engine of TensorRT", "polyyolo inspect engine tells what a file is"),
    "load_truncated": ("is not as long as its header promises", "copy or build it again"),
    "load_dyn_out_of_range": ("does not take these shapes", "wider profile"),
    "load_dyn_badname": ("has no input 'input'", "name one of its own inputs"),
    "onnx_missing": ("", "the model is not where it was said to be"),
    "onnx_truncated": ("", "the ONNX is damaged"),
    "unknown_flag": ("", "does not know --stronglyTyped"),
}


@pytest.mark.parametrize("run", RECORDED)
def test_every_recorded_failure_has_its_cause_and_its_fix(shared, run):
    folder = shared / "fixtures" / "trtexec-8.6.0"
    said = "".join((folder / f"{run}.{stream}").read_text() for stream in ("stdout", "stderr")).splitlines()

    cause = cause_of(said)

    what, fix = RECORDED[run]
    assert what in cause.what
    assert fix in cause.fix
    assert fix_for(said) == cause.fix


def test_a_line_that_names_every_layer_does_not_fill_the_screen():
    said = ["too early", *(str(number) for number in range(11)), f"{{ForeignNode[{'layer, ' * 10_000}]}}"]

    assert tail_of(said).splitlines() == [*said[1:-1], f"{said[-1][:400]}..."]


def test_no_recorded_failure_is_forgotten(shared):
    """Builds that crashed after their work said nothing wrong: those are told by how they ended."""
    folder = shared / "fixtures" / "trtexec-8.6.0"
    failed = {path.stem for path in folder.glob("*.rc") if path.read_text().strip() != "0"}

    assert failed == {*RECORDED, "build_dyn", "build_fp16"}


@pytest.mark.parametrize("run", ["build_dyn", "build_fp16"])
def test_a_build_that_crashed_after_its_work_is_told_by_the_signal(shared, run):
    folder = shared / "fixtures" / "trtexec-8.6.0"
    lines = tuple((folder / f"{run}.stdout").read_text().splitlines())
    status = int((folder / f"{run}.rc").read_text())

    assert end_of(Ended(status, lines)) == "was killed by SIGSEGV"
    assert end_of(Ended(status, (*lines, "&&&& PASSED"))) == "was killed by SIGSEGV although it said PASSED"


@pytest.mark.parametrize(
    ("said", "what", "turn"),
    [
        (
            "expecting library version 10.16.1.11 got 8.6.0.12, please rebuild.",
            "built with TensorRT 8.6.0.12",
            ToolchainError,
        ),
        ("expecting compute 9.0 got compute 8.6, please rebuild.", "of compute capability 8.6", ToolchainError),
        ("Serialization assertion stdVersionRead == serializationVersion failed.", "another version", ToolchainError),
        ("assertion magicTagRead == kMAGIC_TAG failed.Magic tag does not match)", "another version", ToolchainError),
        ("Cuda failure: no CUDA-capable device is detected", "finds no GPU", ToolchainError),
        ("Error Code 2: OutOfMemory (Requested size was 1 bytes.)", "does not fit into the memory", ToolchainError),
        ("the provided shapes do not match the static shapes!", "outside its profiles", InputError),
    ],
)
def test_whose_turn_it_is_follows_from_the_cause(said, what, turn):
    cause = cause_of([said])

    assert what in cause.what
    assert cause.turn is turn


def test_a_plugin_that_was_found_is_not_what_a_build_failed_for():
    tried = "[I] [TRT] No importer registered for op: EfficientNMS_TRT. Attempting to import as plugin."
    gone = '[E] Assertion failed: creator && "Plugin not found, are the plugin name, version, and namespace correct?"'

    assert fix_for([tried, "[E] Cuda failure: out of memory"]).startswith("free memory")
    assert fix_for([tried, "something else"]) == "the log holds all that it said"
    assert "holds a plugin that this builder has not" in fix_for([tried, gone])


DRIVER = "(cudaError 35: CUDA driver version is insufficient for CUDA runtime version)"


def test_the_builders_compiler_that_says_out_of_memory_is_not_short_of_it():
    """TensorRT 8.6.0 aborted so on scales that Casts compute, with 98 GB free."""
    assert "inspect qdq --fix" in fix_for(["LLVM ERROR: out of memory"])
    assert fix_for(["[E] OutOfMemory"]).startswith("free memory")


def test_a_missing_driver_is_not_what_the_parser_failed_for():
    """TensorRT for RTX tells of it behind every error on a machine without a GPU."""
    node = "conv.bias_DequantizeLinear"
    lines = [f"{node}: input has type Int32", DRIVER, f"[6] Invalid Node - {node}", "Could not parse ONNX correctly"]

    assert f"does not take the node {node}" in fix_for(lines)
    assert "working NVIDIA driver" in fix_for([DRIVER])


@pytest.mark.parametrize(
    "said",
    ["Saving engine to file failed.", "Cannot write to FileStreamWriter", "Error when reading engine file"],
    ids=["8.5 to 10.12", "10.13 and later, early", "10.13 and later, at last"],
)
def test_a_full_disk_is_known_by_trtexecs_own_words(said):
    assert DISK_FULL.search(f"[E] {said}")


@pytest.mark.parametrize(
    "said",
    [
        "Target GPU SM 120 is not supported by this TensorRT release.",
        "Error Code 1: Internal Error (Unsupported SM: 0x809)",
    ],
)
def test_a_gpu_that_the_release_does_not_know_is_told_as_such(said):
    assert "this TensorRT does not know that GPU" in fix_for([said])


def test_a_refused_timing_cache_does_not_hide_why_a_build_failed():
    refused = "[E] Error[1]: assertion versionRead == kVERSION failed.Version tag does not match"
    unused = "[W] The timing cache will not be used!"

    assert fix_for([refused, unused, "Error Code 2: OutOfMemory (no space)"]).startswith("free memory")
    assert "another version of TensorRT" in cause_of([refused]).what


HELP = [
    "=== Model Options ===",
    "  --onnx=<file>   ONNX model",
    *["  --more"] * 230,
    "  --help, -h   Print this message",
]


@pytest.mark.parametrize(("before", "behind"), [([], HELP), (HELP, [])], ids=["8.6 to 9.3", "others"])
def test_help_hides_nothing_of_what_was_wrong(before, behind):
    said = [*before, "[E] Unknown option: --weightless", *behind, "&&&& FAILED TensorRT.trtexec"]

    assert tail_of(said).splitlines() == ["[E] Unknown option: --weightless", "&&&& FAILED TensorRT.trtexec"]
    assert "does not know --weightless" in fix_for(said)


def test_words_never_heard_have_no_cause():
    assert cause_of(["something else"]) is None
    assert fix_for(["something else"]) == "the log holds all that it said"
