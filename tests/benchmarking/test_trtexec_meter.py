"""Measuring with trtexec of every release, and every way in which that can fail."""

import signal
from pathlib import Path

import pytest

from polyyolo import progress
from polyyolo.benchmarking.reading import NO_GRAPH, benchmark_of
from polyyolo.benchmarking.shapes import Point
from polyyolo.benchmarking.trtexec_meter import TrtexecMeter, bare
from polyyolo.engines.engine_file import read_engine_file
from polyyolo.engines.programs import find_trtexec
from polyyolo.engines.running import Ended, run_logged
from polyyolo.engines.trtexec_timing import Dialect, Timing
from polyyolo.errors import InputError, ToolchainError, ToolFailed
from polyyolo.records import ShapeRange

FOUR = Point({"images": (4, 3, 64, 64)})
MANY = 2**31 - 1
SIZES = {"images": [[1, 3, side, side] for side in (320, 640, 1280)]}
GREY = {"images": [[1, 1, 384, side] for side in (320, 640, 1280)]}
FOUR_TO_8 = {"images": [[batch, 3, 384, 1280] for batch in (4, 6, 8)]}
TWO = {"images": [[2, 3, side, side] for side in (320, 640, 1280)], "ids": [[2, 7], [4, 7], [8, 7]]}
VERSIONS = ("8.5.3", "8.6.0", "9.3", "10.16", "11.1", "rtx-1.7")


@pytest.fixture
def meter(dynamic_plan, tmp_path, monkeypatch):
    """Give what measures an engine of batch 1 to 8, or of a profile, with a release; ``fail`` is how that fails."""

    def make(version="8.6.0", fail="", run=run_logged, profile=None):
        program, plan = dynamic_plan(version, profile)
        monkeypatch.setenv("FAKE_TRTEXEC_FAIL", fail)
        rtx = version.startswith("rtx-")
        number = "" if rtx else version
        dialect = Dialect(rtx=True) if rtx else Dialect(tuple(map(int, version.split(".")[:2])))
        return TrtexecMeter(read_engine_file(plan), plan, program, number, dialect, tmp_path / "bench.log", run)

    return make


@pytest.mark.parametrize("version", VERSIONS)
def test_every_release_measures_the_same(meter, version):
    """An engine of FP32: 0.642334 ms at batch 1, a fifth more for each further picture, 1.6 times at batch 4."""
    read = meter(version).measure(FOUR, Timing())

    assert read.compute.median_ms == pytest.approx(0.642334 * 1.6, rel=1e-4)
    assert read.total == read.compute
    assert read.queries_per_s == pytest.approx(1000 / read.compute.mean_ms, rel=1e-4)
    assert (read.shapes, read.gpu, read.remarks) == ({"images": (4, 3, 64, 64)}, "NVIDIA H200", ())
    assert read.measured_by == (f"trtexec {version}" if version != "rtx-1.7" else "tensorrt_rtx")


@pytest.mark.parametrize("version", VERSIONS)
def test_with_copies_every_release_tells_end_to_end(meter, version):
    read = meter(version).measure(FOUR, Timing(copies=True))

    assert read.total.median_ms - read.compute.median_ms == pytest.approx(4 * (0.0968 + 0.1665), rel=1e-3)


@pytest.mark.parametrize("version", ["9.3", "10.16", "11.1", "rtx-1.7"])
def test_releases_from_9_tell_the_range_that_the_engine_takes(meter, version):
    [profile] = meter(version).profiles()

    assert (profile["images"].min[0], profile["images"].opt[0], profile["images"].max[0]) == (1, 4, 8)


@pytest.mark.parametrize("version", ["8.5.3", "8.6.0", "8.6.1"])
def test_older_releases_tell_one_shape_and_open_axes_have_no_bounds(meter, version):
    """Each part of 8.6 in words of its own."""
    with progress.recording() as heard:
        [profile] = meter(version).profiles()

    assert (profile["images"].opt, profile["images"].max[0]) == ((1, 3, 64, 64), 2**31 - 1)
    [warning] = heard.warnings
    assert "it is measured at images:1x3x64x64, with 1 for each open axis" in warning.message


def test_who_says_what_to_measure_needs_no_such_warning(meter):
    with progress.recording() as heard:
        meter("8.6.0").profiles((8,))
        meter("10.16").profiles()

    assert heard.warnings == []


@pytest.mark.parametrize("asked", ["1x3x320x320", "images:1x3x320x320"])
def test_an_engine_of_open_height_and_width_is_tried_with_what_is_asked_for(meter, asked):
    """trtexec 8.6 makes 1x3x1x1 of it by itself, which the engine refuses."""
    [profile] = meter("8.6.0", profile=SIZES).profiles((), (asked, "1x3x9999x9999"))

    assert profile == {"images": ShapeRange((1, 3, 1, 1), (1, 3, 320, 320), (MANY, 3, MANY, MANY))}


def test_what_a_try_was_told_is_known_where_trtexec_names_no_inputs(meter):
    """So does 8.6.0 with some engines of open height and width."""

    def quiet(command, log):
        ended = run_logged(command, log)
        kept = [line for line in log.read_text().splitlines() if "Created input binding" not in line]
        log.write_text("\n".join(kept))
        return ended

    measuring = meter("8.6.0", run=quiet, profile=SIZES)

    [profile] = measuring.profiles((), ("1x3x320x320",))
    assert profile == {"images": ShapeRange((1, 3, 1, 1), (1, 3, 320, 320), (MANY, 3, MANY, MANY))}


def test_an_engine_whose_smallest_batch_is_above_1_is_tried_with_the_batch_that_is_asked_for(meter):
    [profile] = meter("8.6.0", profile=FOUR_TO_8).profiles((8, 2), ())

    assert profile == {"images": ShapeRange((1, 3, 384, 1280), (8, 3, 384, 1280), (MANY, 3, 384, 1280))}


def test_each_input_that_trtexec_makes_up_wrongly_is_told_in_its_turn(meter):
    """The second is unknown until the first is taken; the third is fixed and never asked about."""
    measuring = meter("8.6.0", profile={**TWO, "scale": [[2], [2], [2]]})

    [profile] = measuring.profiles((), ("images:2x3x320x320,ids:2x7",))

    assert [bounds.opt for bounds in profile.values()] == [(2, 3, 320, 320), (2, 7), (2,)]
    assert [bounds.max for bounds in profile.values()] == [(2, 3, MANY, MANY), (MANY, MANY), (2,)]
    [profile] = measuring.profiles((2,), ("images:1x3x320x320",))
    assert [bounds.opt for bounds in profile.values()] == [(2, 3, 320, 320), (2, 7), (2,)]
    assert [bounds.max for bounds in profile.values()] == [(2, 3, MANY, MANY), (MANY, 7), (2,)]


@pytest.mark.parametrize(
    ("profile", "asked", "said", "fix"),
    [
        (SIZES, ((), ()), "images has open height and width, and nothing", "--shape, as images:1x3x640x640"),
        (SIZES, ((4,), ()), "images has open height and width", "--shape, as images:1x3x640x640"),
        (GREY, ((), ()), "images has open width, and", "--shape, as images:1x1x384x640"),
        (FOUR_TO_8, ((), ()), "images has open batch", "name a batch that it takes with --batch"),
        (SIZES, ((), ("640x640",)), "images:640x640 is outside what the engine takes: images any x 3 x any x any", ""),
        (SIZES, ((), ("1x4x320x320",)), "images:1x4x320x320 is outside what the engine takes", ""),
        (SIZES, ((), ("large",)), "'large' is no shape", ""),
        (SIZES, ((), ("1x3x96x96",)), "does not take these shapes: they are outside its profiles", ""),
        (TWO, ((), ("2x3x320x320",)), "ids has open axis 0", "--batch"),
        (TWO, ((2,), ("1x3x320x320",)), "'1x3x320x320' does not say which input it is of", "images:1x3x320x320"),
    ],
)
def test_shapes_that_nothing_tells_are_asked_for(meter, profile, asked, said, fix):
    with pytest.raises(InputError) as error:
        meter("8.6.0", profile=profile).profiles(*asked)

    assert said in error.value.message
    assert fix in error.value.fix


def test_pythons_tensorrt_of_the_engines_version_tells_the_range_that_trtexec_cannot(meter, tensorrt):
    tensorrt("8.6.0")

    [profile] = meter("8.6.0", profile=SIZES).profiles()

    assert profile == {"images": ShapeRange((1, 3, 64, 64), (4, 3, 64, 64), (8, 3, 64, 64))}


@pytest.mark.parametrize("python", [{"version": "10.16.0"}, {"said": "it has no mind to"}])
def test_pythons_tensorrt_that_cannot_load_the_engine_is_done_without(meter, tensorrt, python):
    tensorrt(**python)

    [profile] = meter("8.6.0").profiles()

    assert profile["images"].max == (MANY, 3, 64, 64)


@pytest.mark.parametrize("fail", ["truncated-times", "no-times"])
def test_where_the_export_is_broken_the_log_counts_and_that_is_said(meter, fail):
    read = meter(fail=fail).measure(FOUR, Timing())

    assert read.compute.median_ms == pytest.approx(0.642334 * 1.6, rel=1e-4)
    assert (read.compute.quantiles_ms, read.course_ms) == ((), ())
    assert "the figures are those of the log" in read.remarks[-1]


@pytest.mark.parametrize(
    ("fail", "remark"),
    [
        ("unstable", "GPU compute time varies by"),
        ("drift", "GPU compute time drifted from"),
    ],
)
def test_what_makes_a_figure_doubtful_is_said(meter, fail, remark):
    read = meter(fail=fail).measure(FOUR, Timing())

    assert sum(each.startswith(remark) for each in read.remarks) == 1


@pytest.mark.parametrize(
    ("version", "remark"),
    [
        ("8.6.0", "The specified --useCudaGraph flag has been ignored"),
        ("10.16", "The specified --useCudaGraph flag has been ignored"),
        ("11.1", "CUDA graph capture failed"),
    ],
)
def test_an_engine_that_is_no_cuda_graph_is_said_in_the_words_of_each_release(meter, version, remark):
    read = meter(version, fail="no-graph").measure(FOUR, Timing())

    assert sum(each.startswith(remark) for each in read.remarks) == 1
    made = benchmark_of(read, Path("model.plan"), "0" * 64, Timing())
    assert made.settings["CUDA graph"] == "off"
    assert NO_GRAPH in made.warnings


@pytest.mark.parametrize(
    ("fail", "kind", "said"),
    [
        ("no-gpu", ToolchainError, "cannot be run: CUDA finds no GPU"),
        ("out-of-memory", ToolchainError, "does not fit into the memory that is free"),
        ("other-gpu", ToolchainError, "was built on a GPU of compute capability 8.6, and this one has 9.0"),
        ("killed", ToolFailed, "trtexec was killed by SIGKILL, as the system does when memory runs out"),
        ("segfault", ToolFailed, "trtexec was killed by SIGSEGV although it said PASSED"),
        ("silent", ToolFailed, "trtexec ended with status 1"),
    ],
)
def test_every_failure_is_another_error(meter, fail, kind, said):
    with pytest.raises(kind) as error:
        meter(fail=fail).measure(FOUR, Timing())

    assert said in error.value.message
    assert error.value.fix


def test_a_killed_program_leaves_its_command_and_log(meter, tmp_path):
    with pytest.raises(ToolFailed) as error:
        meter(fail="killed").measure(FOUR, Timing())

    failed = error.value
    assert (failed.status, failed.log_path) == (-signal.SIGKILL, tmp_path / "bench.log")
    assert failed.argv[1] == f"--loadEngine={tmp_path / 'run' / '8.6.0.plan'}"
    assert "Starting inference" not in failed.tail
    assert failed.log_path.read_text().startswith("$ ")


def test_passed_without_a_measurement_is_a_failure(meter):
    def run(_, log):
        log.write_text("$ trtexec\n&&&& PASSED TensorRT.trtexec\n")
        return Ended(0, ())

    with pytest.raises(ToolFailed, match="says that it succeeded, but it measured nothing"):
        meter(run=run).measure(FOUR, Timing())


@pytest.mark.parametrize(
    ("point", "said"),
    [
        (Point({"images": (16, 3, 64, 64)}), "does not take these shapes: they are outside its profiles"),
        (Point({"input": (4, 3, 64, 64)}), "has no input 'input'"),
    ],
)
def test_shapes_and_names_that_trtexec_refuses_are_the_users(meter, point, said):
    with pytest.raises(InputError) as error:
        meter().measure(point, Timing())

    assert said in error.value.message


def test_an_engine_of_another_release_names_both_and_how_to_go_on(meter, fake_trtexec):
    measuring = meter("8.6.0")
    other = TrtexecMeter(
        measuring.engine, measuring.plan, fake_trtexec("10.16"), "10.16", Dialect((10, 16)), measuring.log
    )

    with pytest.raises(ToolchainError, match=r"was built with TensorRT 8\.6\.0\.0, and 10\.16\.0\.0 is here") as error:
        other.measure(FOUR, Timing())

    assert "polyyolo build MODEL.onnx" in error.value.fix


@pytest.mark.parametrize(("cut", "said"), [(40, "is not as long as its header promises"), (0, "is no engine")])
def test_an_engine_that_broke_after_it_was_looked_at_is_told(meter, cut, said):
    measuring = meter()
    measuring.plan.write_bytes(measuring.plan.read_bytes()[:cut])

    with pytest.raises(InputError, match=said):
        measuring.measure(FOUR, Timing())


def test_an_engine_that_is_gone_is_told(meter):
    measuring = meter()
    measuring.plan.unlink()

    with pytest.raises(InputError, match="cannot be opened"):
        measuring.measure(FOUR, Timing())


def test_a_profile_beyond_the_first_needs_release_9(meter):
    with pytest.raises(InputError, match=r"is in profile 1 of .*, and trtexec 8\.6\.0 runs profile 0 only"):
        meter("8.6.0").measure(Point(FOUR.shapes, 1), Timing())


def test_trtexec_is_found_where_the_environment_says(fake_trtexec, monkeypatch):
    program = fake_trtexec("10.16")
    monkeypatch.setenv("TRTEXEC", str(program))

    assert (find_trtexec().path, find_trtexec().version) == (program, "10.16.0")


def test_trtexec_gets_a_plan_without_what_ultralytics_wrote_in_front(tmp_path):
    plan = b"ftrt" + bytes(12) + (64).to_bytes(8, "little") + bytes((8, 6, 0, 12)) + bytes(36)
    path = tmp_path / "yolo.engine"
    path.write_bytes((2).to_bytes(4, "little") + b"{}" + plan)

    with bare(read_engine_file(path)) as stripped:
        assert stripped.read_bytes() == plan
    assert not stripped.exists()
