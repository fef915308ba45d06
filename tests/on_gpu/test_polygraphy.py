"""Polygraphy's own commands with polyyolo's loader and options, as its users type them."""

import json
import re

import pytest

from polyyolo.calibration.feed_count import require_complete

pytestmark = [pytest.mark.gpu, pytest.mark.usefixtures("bindings")]

QUICK = ("--warm-up", 0, "--duration", 0.1, "--no-end-to-end")


@pytest.mark.parametrize("name", ["static", "dynamic"])
def test_the_literal_command_calibrates_with_every_picture_and_builds(builds, jobs, little, tmp_path, name):
    """All 24: one by one, or in fours where the batch is open, as the profile's usual shape has it."""
    model, batch = {"static": (little.static, 1), "dynamic": (little.dynamic, 4)}[name]
    engine = builds.engine(f"convert-{name}")
    done = builds.done(f"convert-{name}")

    bench = jobs.polyyolo("bench", engine, *QUICK, "--json", "-o", tmp_path / "benchmark.json")
    check = jobs.polyyolo("cache", "check", engine.with_name("e.cache"), "--model", model, "--tensorrt", "8.6")
    layers = jobs.polyyolo("inspect", "layers", engine, "--json")
    bench, check, layers = (each.done() for each in (bench, check, layers))

    count = require_complete(engine.with_name("count.json"))
    assert (count.promised, count.yielded, count.failure) == (24 // batch, 24 // batch, "")
    assert "Traceback" not in done.out + done.err
    assert (bench.status, check.status, layers.status) == (0, 0, 0), f"{bench}{check}{layers}"
    assert json.loads(bench.out)["benchmarks"][0]["batch"] == batch
    assert len(json.loads(layers.out)["layers"]) > 5


def boxes(done):
    """Give the F1 of each comparison by boxes."""
    return [float(f1) for f1 in re.findall(r"Boxes \| .*F1 ([\d.]+)", done.out + done.err)]


@pytest.mark.usefixtures("plugin")
def test_polygraphy_run_compares_boxes_of_onnx_runtime_tensorrt_and_trtexec(builds):
    done = builds.done("plugin")

    assert done.status == 0, str(done)
    assert len(boxes(done)) >= 2, str(done)
    assert min(boxes(done)) >= 0.99
    assert "Traceback" not in done.out + done.err


def test_an_engine_of_open_batch_runs_by_trtexec_at_the_shape_that_is_asked_for(jobs, plugin, builds, little, tmp_path):
    pictures = ("--yolo-images", little.pictures, "--yolo-count", 8, "--input-shapes", "images:[8,3,64,64]")
    onnx = jobs.start(
        *(plugin, "run", little.dynamic, "--onnxrt", *pictures, "--save-outputs", "onnx.json"), folder=tmp_path
    ).done()
    comparison = ("--load-outputs", "onnx.json", "--yolo-compare", "--yolo-model", little.dynamic)

    done = jobs.start(
        *(plugin, "run", builds.engine("dynamic"), "--yolo-trtexec", *pictures, *comparison), folder=tmp_path
    ).done()

    assert (onnx.status, done.status) == (0, 0), f"{onnx}{done}"
    assert min(boxes(done)) >= 0.99


def test_a_batch_outside_the_profile_is_one_error_without_a_traceback(jobs, plugin, builds, little, tmp_path):
    pictures = ("--yolo-images", little.pictures, "--yolo-count", 9, "--input-shapes", "images:[9,3,64,64]")
    words = (builds.engine("dynamic"), "--yolo-trtexec", *pictures, "--yolo-model", little.dynamic)

    done = jobs.start(plugin, "run", *words, folder=tmp_path).done()

    assert done.status != 0, str(done)
    assert "Traceback" not in done.out + done.err
    assert "build it with a wider profile" in done.out + done.err
