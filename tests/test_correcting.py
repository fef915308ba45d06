"""Weights treated within a run: what is reused, what comes out, and what is refused before anything is calibrated."""

import shutil

import numpy as np
import onnx
import pytest
from attrs import evolve
from onnx import numpy_helper

from polyyolo import pipeline
from polyyolo.cli import main
from polyyolo.decisions import decide
from polyyolo.errors import InputError
from polyyolo.models.spec import load
from polyyolo.records import Request, Route

BOTH = ("rounding", "bias")


@pytest.fixture
def asked(little_yolo, little_pictures, tmp_path):
    """A short run that corrects nothing."""
    return Request(
        str(little_yolo), little_pictures, toolchain="none", count=8, keep_float=("none",), output=tmp_path / "run"
    )


@pytest.fixture(scope="module")
def corrected(little_yolo, little_pictures, tmp_path_factory):
    """A short run that corrects all there is, made once."""
    folder = tmp_path_factory.mktemp("corrected") / "run"
    wanted = {"keep_float": ("none",), "weights": "mse", "correct": BOTH}
    return pipeline.engine(
        Request(str(little_yolo), little_pictures, toolchain="none", count=8, output=folder, **wanted)
    )


@pytest.fixture
def again(corrected, tmp_path):
    """The same request with a copy of that run's folder."""
    return evolve(corrected.request, output=shutil.copytree(corrected.folder, tmp_path / "again"))


def weights_of(run):
    """Weights of the INT8 model as they are written in front of QuantizeLinear, by name."""
    model = load(run.folder / "model.int8.onnx")
    quantized = {node.input[0] for node in model.graph.node if node.op_type == "QuantizeLinear"}
    return {each.name: numpy_helper.to_array(each) for each in model.graph.initializer if each.name in quantized}


def test_a_run_without_corrections_keeps_the_weights_and_has_no_such_step(asked):
    run = pipeline.engine(asked)

    own = {each.name: numpy_helper.to_array(each) for each in load(run.folder / "model.onnx").graph.initializer}
    assert "correct" not in run.seconds
    assert not (run.folder / "weights.npz").exists()
    for name, values in weights_of(run).items():
        np.testing.assert_array_equal(values, own[name])


def test_corrected_weights_are_in_the_model_and_the_record_tells_of_them(corrected):
    assert corrected.seconds["correct"] > 0
    assert {"weights by mse", "rounding corrected", "bias corrected"} <= set(corrected.built.history)
    with np.load(corrected.folder / "weights.npz") as kept:
        index = [str(name) for name in kept["names"]].index("stem_conv")
        scales = kept[f"{index}_scales"].reshape(-1, 1, 1, 1)
        np.testing.assert_array_equal(weights_of(corrected)["stem_w"], kept[f"{index}_levels"] * scales)
    onnx.checker.check_model(str(corrected.built.path), full_check=True)


def test_a_corrected_model_is_the_same_to_the_byte_each_time(corrected, tmp_path):
    run = pipeline.engine(evolve(corrected.request, output=tmp_path / "second"))

    assert run.reused == ()
    assert run.built.sha256 == corrected.built.sha256


@pytest.mark.parametrize(
    ("change", "done"),
    [
        ({}, set()),
        ({"keep_float": ("stem",)}, {"quantize", "cast to FP16", "verify"}),
        ({"method": "max"}, {"quantize", "cast to FP16", "verify"}),
        ({"correct": ("rounding",)}, {"correct", "quantize", "cast to FP16", "verify"}),
        ({"weights": "max"}, {"correct", "quantize", "cast to FP16", "verify"}),
        ({"weights": "percentile-90", "correct": ("none",)}, {"quantize", "cast to FP16", "verify"}),
        ({"count": 6}, {"calibrate", "correct", "quantize", "cast to FP16", "verify"}),
    ],
    ids=["nothing", "budget", "method", "corrections", "weights", "weights alone", "pictures"],
)
def test_weights_are_corrected_again_only_when_what_decides_them_changed(again, change, done):
    run = pipeline.engine(evolve(again, **change))

    assert set(run.seconds) - set(run.reused) == done
    assert ("correct" in run.seconds) is (run.request.correct != ("none",))


@pytest.mark.parametrize(
    ("change", "lost"),
    [
        ({"correct": ("rounding",)}, "rounding corrected"),
        ({"correct": ("bias",)}, "bias corrected"),
        ({"weights": "mse"}, "weights by mse"),
    ],
)
def test_the_calibrated_route_refuses_what_tensorrt_would_undo(asked, change, lost):
    with pytest.raises(InputError, match=f"{lost} would be lost") as error:
        decide(evolve(asked, route=Route.CALIBRATED, **change))

    assert error.value.fix.startswith("use --route qdq")
    assert not asked.output.exists()


@pytest.mark.parametrize("change", [{"weights": "mse-seen"}, {"correct": ("bias", "sideways")}])
def test_what_there_is_not_is_refused_before_anything_is_done(asked, change):
    with pytest.raises(InputError, match="there is no"):
        decide(evolve(asked, **change))

    assert not asked.output.exists()


def test_the_command_line_takes_both_corrections(asked, capsys):
    words = ["engine", asked.model, "--images", str(asked.images), "--toolchain", "none", "--keep-float", "none"]

    with pytest.raises(SystemExit) as left:
        main([*words, "--correct", "rounding", "--correct", "bias", "-o", str(asked.output)])

    assert left.value.code == 0
    assert "correct" in capsys.readouterr().err
    assert (asked.output / "weights.npz").is_file()
