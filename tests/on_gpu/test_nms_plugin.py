"""A model that ends in TensorRT's NMS plugin: ONNX Runtime computes the same in operators of its own."""

import json

import pytest

pytestmark = pytest.mark.gpu


@pytest.mark.usefixtures("bindings")
def test_tensorrts_plugin_chooses_the_boxes_that_onnx_runtime_chooses(builds, jobs, little, tmp_path):
    engine = builds.engine("deployed")
    words = ("--model", little.deployed, "--against", little.deployed, "--labelled", little.seen, "--json")

    done = jobs.run("verify", engine, *words, "-o", tmp_path / "verified")

    assert done.status in (0, 1), str(done)
    told = json.loads(done.out)
    assert told["agreement"]["0.5"] >= 0.99, told
    assert told["agreement"]["0.9"] >= 0.99, told
