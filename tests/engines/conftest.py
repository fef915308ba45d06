"""Models by hand, and programs that pretend to be builders."""

import sys
from pathlib import Path

import pytest

from polyyolo.records import Head, HeadKind, ModelSpec, TensorSpec

OPEN = ("batch", 3, "height", "width")
FIXED = (1, 3, 640, 640)


@pytest.fixture
def yolo():
    """Describe a YOLO of given input dimensions; it need not exist as a file."""

    def describe(dims=FIXED, *, more=(), path="yolo.onnx", **fields):
        images = TensorSpec("images", "float32", dims)
        head = Head(HeadKind.V5, 80, ("output0",), (8, 16, 32))
        usual = {"quantized": True, "head": head, "opset": 17}
        output = TensorSpec("output0", "float32", (1, 25200, 85))
        return ModelSpec(
            path=Path(path),
            sha256="0" * 64,
            inputs=(images, *more),
            outputs=(output,),
            image="images",
            **{**usual, **fields},
        )

    return describe


@pytest.fixture
def program(tmp_path):
    """Write an executable Python script that plays a builder: ``engine`` is the path it is told to write."""

    def write(body, name="polygraphy"):
        script = tmp_path / "bin" / name
        script.parent.mkdir(exist_ok=True)
        find = "[word for word in argv if word.startswith('--saveEngine=')][0][13:]"
        if name == "polygraphy":
            find = "argv[argv.index('-o') + 1]"
        script.write_text(
            f"#!{sys.executable}\nimport os, pathlib, signal, sys, time\nargv = sys.argv[1:]\n"
            f"engine = pathlib.Path({find})\n"
            "def plan(magic):\n    size = 64\n"
            "    return magic + bytes(12) + size.to_bytes(8, 'little') + bytes(size - 24)\n"
            f"{body}\n"
        )
        script.chmod(0o755)
        return script

    return write
