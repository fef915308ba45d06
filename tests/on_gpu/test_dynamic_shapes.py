"""Engines of open axes: measured at every shape that they take, refused outside with the range, and run."""

import json

import numpy as np
import pytest

from polyyolo.detection.result import Detected
from polyyolo.files import read_json

pytestmark = pytest.mark.gpu

QUICK = ("--warm-up", 0, "--duration", 0.1, "--no-end-to-end")


@pytest.fixture
def bench(jobs, measuring, tmp_path):
    """Measure an engine shortly."""

    def measure(engine, *words):
        output = ("-o", tmp_path / "benchmark.json", "--json")
        return jobs.run("bench", engine, *words, "--program", measuring, *QUICK, *output)

    return measure


def test_each_batch_of_the_profile_is_measured(builds, bench):
    done = bench(builds.engine("dynamic"), "--batch", "1,4,8")

    assert done.status == 0, str(done)
    found = json.loads(done.out)["benchmarks"]
    assert [each["batch"] for each in found] == [1, 4, 8]
    assert [each["shapes"]["images"] for each in found] == [[batch, 3, 64, 64] for batch in (1, 4, 8)]
    assert all(each["images_per_s"] > 100 for each in found)


@pytest.mark.usefixtures("bindings")
@pytest.mark.parametrize("asked", [("--batch", 9), ("--shape", "images:9x3x64x64"), ("--shape", "9x3x64x64")])
def test_a_batch_outside_the_profile_is_refused_with_its_range(builds, bench, asked):
    done = bench(builds.engine("dynamic"), *asked)

    assert done.status == 2, str(done)
    assert "images:9x3x64x64 is outside what the engine takes: images 1..8 x 3 x 64 x 64" in done.errors[0]
    assert done.is_one_clear_error, str(done)


@pytest.mark.usefixtures("bindings")
def test_without_a_shape_the_usual_one_of_the_profile_is_measured(builds, bench):
    found = [json.loads(bench(builds.engine(name)).out)["benchmarks"] for name in ("dynamic", "sides")]

    assert [each["shapes"]["images"] for [each] in found] == [[4, 3, 64, 64], [1, 3, 96, 96]]


def test_open_height_and_width_are_measured_where_they_fit_and_refused_where_not(builds, bench):
    inside = bench(builds.engine("sides"), "--shape", "images:1x3x64x128")
    outside = bench(builds.engine("sides"), "--shape", "images:1x3x64x160")

    assert inside.status == 0, str(inside)
    assert json.loads(inside.out)["benchmarks"][0]["shapes"]["images"] == [1, 3, 64, 128]
    assert outside.status == 2, str(outside)
    assert outside.is_one_clear_error, str(outside)
    assert "outside" in outside.errors[0]


@pytest.mark.usefixtures("bindings")
@pytest.mark.parametrize("name", ["static", "dynamic"])
def test_an_fp32_engine_finds_the_boxes_of_its_onnx(builds, jobs, little, name):
    """TF32 is off: differences are of rounding alone."""
    engine, onnx = builds.engine(name), {"static": little.static, "dynamic": little.dynamic}[name]
    words = ("--model", onnx, "--against", onnx, "--labelled", little.seen, "--json", "-o", engine.parent / "verified")

    done = jobs.run("verify", engine, *words)

    assert done.status in (0, 1), str(done)
    told = json.loads(done.out)
    assert told["pictures"] == 12
    assert told["agreement"]["0.9"] >= 0.99, told
    assert told["signal_to_noise_db"]["output0"] > 60
    assert abs(told["drop_points"]) < 0.5


@pytest.mark.usefixtures("bindings")
def test_an_engine_of_open_batch_draws_what_its_onnx_draws(builds, jobs, little, tmp_path):
    words = (little.pictures, "--save", "json", "--confidence", 0.2, "--quiet")

    ours = jobs.run("detect", builds.engine("dynamic"), *words, "--model", little.dynamic, "-o", tmp_path / "engine")
    theirs = jobs.run("detect", little.dynamic, *words, "-o", tmp_path / "onnx")

    assert (ours.status, theirs.status) == (0, 0), f"{ours}{theirs}"
    one, other = (read_json(tmp_path / name / "summary.json", Detected) for name in ("engine", "onnx"))
    assert one.shots == other.shots == 24
    assert one.boxes > 24
    np.testing.assert_allclose(one.boxes, other.boxes, rtol=0.01)
