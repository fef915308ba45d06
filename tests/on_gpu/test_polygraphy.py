"""Polygraphy's own commands with polyyolo's loader and options, as its users type them."""

import json
import re

import pytest

from polyyolo.calibration.feed_count import require_complete

pytestmark = [pytest.mark.gpu, pytest.mark.usefixtures("bindings")]

LEVEL = ("--builder-optimization-level", 0)
OPEN = [
    word
    for bound, batch in (("min", 1), ("opt", 4), ("max", 8))
    for word in (f"--trt-{bound}-shapes", f"images:[{batch},3,64,64]")
]
QUICK = ("--warm-up", 0, "--duration", 0.1, "--no-end-to-end")


@pytest.fixture(scope="module")
def converting(jobs, polygraphy, little, tmp_path_factory):
    """Start the literal command for both models, in the project's folder."""
    from polyyolo.engines.calibrators import LOADER

    folder = tmp_path_factory.mktemp("converted")
    started = {}
    for name, model, shapes in (("static", little.static, []), ("dynamic", little.dynamic, OPEN)):
        files = {kind: folder / f"{name}.{kind}" for kind in ("cache", "plan", "json")}
        words = ("--int8", "--fp16", "--data-loader-script", "polyyolo/loader.py")
        words += ("--calibration-cache", files["cache"], "-o", files["plan"], *shapes, *LEVEL)
        settings = {"POLYYOLO_IMAGES": little.pictures, "POLYYOLO_COUNT_FILE": files["json"]}
        root = LOADER.parent.parent
        job = jobs.start(polygraphy, "convert", model, *words, folder=root, **settings)
        started[name] = (job, model, files)
    return started


@pytest.mark.parametrize(("name", "batches"), [("static", 24), ("dynamic", 6)])
def test_the_literal_command_calibrates_with_every_picture_and_builds(converting, jobs, tmp_path, name, batches):
    job, model, files = converting[name]
    done = job.done()
    assert done.status == 0, str(done)

    bench = jobs.polyyolo("bench", files["plan"], *QUICK, "--json", "-o", tmp_path / "benchmark.json")
    check = jobs.polyyolo("cache", "check", files["cache"], "--model", model, "--tensorrt", "8.6", "--json")
    layers = jobs.polyyolo("inspect", "layers", files["plan"], "--json")
    bench, check, layers = (each.done() for each in (bench, check, layers))

    count = require_complete(files["json"])
    assert (count.promised, count.yielded, count.failure) == (batches, batches, "")
    assert "Traceback" not in done.out + done.err
    assert (bench.status, check.status, layers.status) == (0, 0, 0), f"{bench}{check}{layers}"
    assert json.loads(bench.out)["benchmarks"][0]["batch"] == (1 if name == "static" else 4)
    assert len(json.loads(layers.out)["layers"]) > 5


def boxes(done):
    """Give the F1 of each comparison by boxes."""
    return [float(f1) for f1 in re.findall(r"Boxes \| .*F1 ([\d.]+)", done.out + done.err)]


def test_polygraphy_run_compares_boxes_of_onnx_runtime_tensorrt_and_trtexec(jobs, plugin, little, tmp_path):
    pictures = ("--yolo-images", little.pictures, "--yolo-count", 4)
    runners = ("--onnxrt", "--trt", "--yolo-trtexec", *LEVEL)
    comparison = ("--yolo-compare", "--yolo-min-agreement", 0.99)

    done = jobs.start(plugin, "run", little.static, *runners, *pictures, *comparison, folder=tmp_path).done()

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
