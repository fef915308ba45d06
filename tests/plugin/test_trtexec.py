"""``--yolo-trtexec``: a runner for trtexec of every release, played by a fake that runs the ONNX it built from."""

import json

import numpy as np
import onnx
import pytest
from attrs import evolve

from polyyolo.engines.running import Ended
from polyyolo.engines.toolchain import named
from polyyolo.errors import ToolFailed
from polyyolo.plugin.trtexec_inference import Session


@pytest.fixture
def by_trtexec(polygraphy_run, fake_trtexec, little_yolo, little_pictures):
    """Run the little model on one picture by a fake trtexec: words, release and failure."""

    def run(*words, release="8.6.0", fail=None):
        feed = ("--yolo-images", little_pictures, "--yolo-count", 1)
        return polygraphy_run(little_yolo, "--yolo-trtexec", *feed, *words, TRTEXEC=fake_trtexec(release, fail))

    return run


QUERY = {"startH2dMs": 0, "computeMs": 0.5, "endD2hMs": 0.75, "latencyMs": 0.75}
RELEASES = ("8.5.3", "8.6.0", "9.3", "10.16", "11.1")


def here(folder, release):
    return evolve(named(release), trtexec=folder / "trtexec")


@pytest.mark.parametrize("release", RELEASES)
def test_trtexec_of_each_release_gives_the_boxes_of_onnx_runtime(
    polygraphy_run, fake_trtexec, little_yolo, little_pictures, release
):
    ran = polygraphy_run(
        *(little_yolo, "--onnxrt", "--yolo-trtexec", "--yolo-images", little_pictures),
        *("--yolo-count", 2, "--yolo-compare", "--yolo-min-agreement", 1),
        TRTEXEC=fake_trtexec(release),
    )

    assert ran.status == 0, ran.text
    assert ran.boxes.startswith("F1 1.0000")


def test_an_engine_is_built_once_kept_and_loaded_again(polygraphy_run, fake_trtexec, little_dynamic, little_pictures):
    trtexec = fake_trtexec("10.16")
    pictures = ("--yolo-images", little_pictures, "--yolo-count", 4, "--input-shapes", "images:[2,3,64,64]")
    built = polygraphy_run(
        *(little_dynamic, "--yolo-trtexec", *pictures, "--save-engine", "kept.plan", "--save-outputs", "first"),
        TRTEXEC=trtexec,
    )

    loaded = polygraphy_run(
        *("kept.plan", "--yolo-trtexec", *pictures, "--load-outputs", "first", "--yolo-compare"),
        *("--yolo-model", little_dynamic, "--yolo-min-agreement", 1),
        TRTEXEC=trtexec,
    )

    assert (built.status, loaded.status) == (0, 0), built.text + loaded.text
    assert loaded.boxes.startswith("F1 1.0000")


def test_an_engine_without_its_onnx_needs_its_inputs_named(polygraphy_run, fake_trtexec, little_yolo, little_pictures):
    words = ("--yolo-trtexec", "--yolo-images", little_pictures, "--yolo-count", 1)
    trtexec = fake_trtexec("8.6.0")
    polygraphy_run(little_yolo, *words, "--save-engine", "kept.plan", TRTEXEC=trtexec)

    unnamed = polygraphy_run("kept.plan", *words, TRTEXEC=trtexec)
    named = polygraphy_run("kept.plan", *words, "--input-shapes", "images:[1,3,64,64]", TRTEXEC=trtexec)

    assert (unnamed.status, named.status) == (1, 0)
    assert "trtexec does not tell the inputs of" in unnamed.text


@pytest.mark.parametrize(
    ("words", "release", "message"),
    [
        (("--int8",), "8.6.0", "holds no Q/DQ nodes, so INT8 would have no scales (trtexec makes some up)"),
        (("--int8", "--calibration-cache", "absent.cache"), "10.16", "absent.cache is missing or empty"),
        (("--int8", "--calibration-cache", "x.cache"), "11.1", "TensorRT 11.1.0 has no INT8 calibrator"),
        (("--fp16",), "11.1", "TensorRT 11.1.0 takes types from the ONNX"),
    ],
)
def test_what_a_release_would_do_wrong_in_silence_is_refused(by_trtexec, words, release, message):
    ran = by_trtexec(*words, release=release)

    assert ran.status == 1
    assert message in ran.text
    assert "Traceback" not in ran.text


@pytest.mark.parametrize(
    ("fail", "message"),
    [
        ("no-gpu", "was killed by SIGABRT"),
        ("out-of-memory", "free memory"),
        ("killed", "was killed by SIGKILL"),
        ("segfault", "was killed by SIGSEGV although it said PASSED"),
        ("no-engine", "says that it succeeded, but the engine is missing or empty"),
        ("disk-full", "trtexec ended with status 1"),
    ],
)
def test_each_way_to_fail_is_told_as_what_it_is(by_trtexec, fail, message):
    ran = by_trtexec(fail=fail)

    assert ran.status == 1
    assert message in ran.text
    assert "Traceback" not in ran.text


def test_a_machine_without_trtexec_says_how_to_get_it(polygraphy_run, little_yolo, little_pictures):
    ran = polygraphy_run(
        little_yolo, "--yolo-trtexec", "--yolo-images", little_pictures, "--yolo-count", 1, TRTEXEC="/nowhere/trtexec"
    )

    assert ran.status == 1
    assert "/nowhere/trtexec does not start" in ran.text


@pytest.mark.parametrize(
    ("release", "said"),
    [
        ("8.6.0", ("--useSpinWait",)),
        ("11.1", ("--noCudaGraph", "--includeDataTransfers")),
    ],
)
def test_the_command_names_shapes_files_and_one_query_that_moves_its_data(tmp_path, release, said):
    """Names with a colon are quoted: trtexec splits at the last one otherwise."""
    commands = []

    def run(command, _log):
        commands.append(command.argv)
        (tmp_path / "outputs.json").write_text(json.dumps([{"name": "y", "dimensions": "1x2", "values": [1.5, 2]}]))
        (tmp_path / "times.json").write_text(json.dumps([QUERY]))
        return Ended(0, ())

    feed = {"a:0": np.zeros((1, 3, 8, 8), np.float32)}
    inferred = Session(here(tmp_path, release), tmp_path / "m.plan", tmp_path, run).infer(feed)

    assert commands == [
        (
            f"{tmp_path}/trtexec",
            f"--loadEngine={tmp_path}/m.plan",
            "--shapes='a:0':1x3x8x8",
            *("--warmUp=0", "--duration=0", "--percentile=90,95,99", *said, "--iterations=1"),
            f"--loadInputs='a:0':{tmp_path}/input-0.bin",
            f"--exportOutput={tmp_path}/outputs.json",
            f"--exportTimes={tmp_path}/times.json",
        )
    ]
    assert (tmp_path / "input-0.bin").stat().st_size == 4 * 3 * 8 * 8
    assert inferred.latency_ms == 0.75
    np.testing.assert_array_equal(inferred.outputs["y"], [[1.5, 2]])


@pytest.mark.parametrize(
    "exported",
    ["", "[", '[{"name": "y", "dimensions": "1x3", "values": [1, 2]}]', '[{"name": "y"}]', '{"a": 1}', "[1]"],
)
def test_exports_that_end_in_the_middle_are_a_failure_of_trtexec(tmp_path, exported):
    def run(_command, _log):
        (tmp_path / "outputs.json").write_text(exported)
        (tmp_path / "times.json").write_text(json.dumps([QUERY]))
        return Ended(0, ("&&&& PASSED",))

    with pytest.raises(ToolFailed, match="its exports cannot be read"):
        Session(here(tmp_path, "8.6.0"), tmp_path / "m.plan", tmp_path, run).infer({})


def test_inputs_of_another_type_than_float_go_as_they_are(
    polygraphy_run, fake_trtexec, little_yolo, little_pictures, tmp_path
):
    """A model that takes FP16: the files that trtexec loads hold two bytes a value."""
    model = onnx.load(little_yolo)
    model.graph.input[0].type.tensor_type.elem_type = onnx.TensorProto.FLOAT16
    cast = onnx.helper.make_node("Cast", ["images"], ["pixels"], to=onnx.TensorProto.FLOAT)
    next(node for node in model.graph.node if "images" in node.input).input[0] = "pixels"
    model.graph.node.insert(0, cast)
    onnx.save(model, tmp_path / "half.onnx")

    ran = polygraphy_run(
        *(tmp_path / "half.onnx", "--onnxrt", "--yolo-trtexec", "--yolo-images", little_pictures),
        *("--yolo-count", 1, "--atol", "1e-2", "--rtol", "1e-3"),
        TRTEXEC=fake_trtexec("10.16"),
    )

    assert ran.status == 0, ran.text
