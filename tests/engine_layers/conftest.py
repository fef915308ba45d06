"""Real exports of trtexec 8.6.0, and small ones by hand of any release."""

import json

import pytest

from polyyolo.engine_layers.changes import Timed
from polyyolo.engine_layers.reading import read_layers, read_profile

INT8 = "Thirty-two wide channel vectorized row major Int8 format"


@pytest.fixture
def exports(shared):
    """The folder with exports of YOLOv5s: s_fp32, s_int8fp16 (implicit INT8) and s_qdq."""
    return shared / "fixtures" / "trtexec-8.6.0"


@pytest.fixture
def engine(exports):
    """Read one of them."""

    def read(name):
        return Timed(read_layers(exports / f"{name}.layers.json"), read_profile(exports / f"{name}.profile.json"))

    return read


def entry(name, reads, writes, **more):
    """A layer as trtexec 8 and 10 export it; ``reads`` and ``writes`` are tensor -> format."""
    tensors = [[{"Name": tensor, "Dimensions": [1, 8], "Format/Datatype": words} for tensor, words in side.items()]
               for side in (reads, writes)]  # fmt: skip
    metadata = f"[ONNX Layer: {name}]"
    return {
        "Name": name,
        "LayerType": "PointWise",
        "Inputs": tensors[0],
        "Outputs": tensors[1],
        "Metadata": metadata,
    } | more


CONV = {"LayerType": "CaskConvolution", "Weights": {"Type": "Int8", "Count": 9}}
"""What makes an entry a convolution in INT8."""


@pytest.fixture
def exported(tmp_path):
    """Write a file that trtexec might have exported."""

    def write(*entries, name="layers.json"):
        path = tmp_path / name
        path.write_text(json.dumps({"Layers": list(entries), "Bindings": ["images", "output0"]}))
        return path

    return write
