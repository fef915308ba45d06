"""How trtexec 8.5 to 11 is told to load an engine, and to run it once on values that are known."""

from collections.abc import Mapping
from pathlib import PurePath

from polyyolo.engines.trtexec_shapes import Shapes, quoted, spelled
from polyyolo.engines.trtexec_timing import Dialect, Timing, timing_flags

ONCE = Timing(warm_up_ms=0, duration_s=0.0, graph=False, copies=True)


def load_flags(engine: PurePath, shapes: Shapes) -> tuple[str, ...]:
    """Name an engine and the shapes of its inputs; those of fixed shape may be told or left out."""
    return f"--loadEngine={engine}", *([f"--shapes={spelled(shapes)}"] if shapes else [])


def once_flags(dialect: Dialect, inputs: Mapping[str, PurePath], outputs: PurePath | None) -> tuple[str, ...]:
    """Make one query, which moves its inputs to the GPU and its outputs back.

    Args:
        dialect: of the program.
        inputs: input name -> file of raw values, without commas or colons in its path.
        outputs: file for what comes out, with six digits (``trtexec_outputs.read_outputs``); None has the bytes
            written to files in the working directory (``trtexec_outputs.read_bytes``), which came with 8.6.
    """
    loaded = ",".join(f"{quoted(name)}:{path}" for name, path in inputs.items())
    timing = timing_flags(dialect, ONCE)
    exported = f"--exportOutput={outputs}" if outputs else "--dumpRawBindingsToFile"
    return (*timing, "--iterations=1", f"--loadInputs={loaded}", exported)
