"""What a file is that was given as a model and is none: an engine, or text."""

from pathlib import Path

from polyyolo.errors import ModelError
from polyyolo.records import PLAN_MAGIC

LENGTH_BYTES = 4
"""Ultralytics writes the length of its JSON before it, and both before the plan."""
START_BYTES = 1024


def refuse_engine(path: Path) -> None:
    """Refuse an engine where a model is wanted.

    Raises:
        ModelError: the file begins as engines do, or as Ultralytics' do.
    """
    if holds_plan(path):
        raise ModelError(
            f"{path} is a TensorRT engine, not a model",
            fix="name the ONNX that it was built from; bench, verify, detect and inspect engine take engines",
        )


def refuse_text(path: Path) -> None:
    """Refuse a text file where a model is wanted.

    Raises:
        ModelError: the file begins with text.
    """
    with path.open("rb") as stream:
        start = stream.read(START_BYTES)
    if start and is_text(start):
        raise ModelError(f"{path} is a text file, not an ONNX", fix="name an .onnx file, or export the model again")


def is_text(data: bytes) -> bool:
    """Whether bytes are printable ASCII in lines."""
    try:
        return data.decode("ascii").translate(dict.fromkeys(map(ord, "\t\r\n"))).isprintable()
    except UnicodeDecodeError:
        return False


def holds_plan(path: Path) -> bool:
    """Whether a file begins as engines do, with Ultralytics' JSON in front or without."""
    with path.open("rb") as stream:
        start = stream.read(LENGTH_BYTES + 1)
        if start[LENGTH_BYTES:] == b"{":
            stream.seek(LENGTH_BYTES + int.from_bytes(start[:LENGTH_BYTES], "little"))
            start = stream.read(LENGTH_BYTES)
    return start[:LENGTH_BYTES] in PLAN_MAGIC
