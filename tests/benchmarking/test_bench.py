"""A benchmark of an engine: figures, conditions, labels; and what measures it is of the engine's own version."""

import json
import os
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from polyyolo.benchmarking import keeping
from polyyolo.benchmarking.bench import BenchRequest, bench
from polyyolo.benchmarking.event_meter import EventMeter
from polyyolo.benchmarking.keeping import FILE, Kept, benchmarks_of, keep
from polyyolo.benchmarking.meters import choose
from polyyolo.benchmarking.trtexec_meter import TrtexecMeter
from polyyolo.engines.engine_file import read_engine_file
from polyyolo.engines.programs import find_trtexec
from polyyolo.engines.trtexec_timing import Timing
from polyyolo.errors import InputError, ToolchainError
from polyyolo.files import read_json, sha256_of
from polyyolo.records import Benchmark, Latency


@pytest.fixture
def built(dynamic_plan, monkeypatch):
    """Give an engine of batch 1 to 8, and let its trtexec be the one that is found."""

    def build(version="10.16"):
        program, plan = dynamic_plan(version)
        monkeypatch.setenv("TRTEXEC", str(program))
        return plan

    return build


def measure(plan, **asked):
    return list(bench(plan, BenchRequest(**asked), plan.with_name("benchmark.log")))


def test_a_benchmark_has_both_latencies_apart_and_all_that_shaped_them(built):
    plan = built()

    [found] = measure(plan)

    assert (found.engine, found.sha256) == (plan, sha256_of(plan))
    assert (found.shapes, found.batch) == ({"images": (4, 3, 64, 64)}, 4)
    assert found.images_per_s == pytest.approx(4 * 1000 / found.gpu_compute.mean_ms, rel=1e-4)
    assert found.end_to_end.median_ms > found.gpu_compute.median_ms
    assert (found.gpu, found.measured_by, found.warnings) == ("NVIDIA H200", "trtexec 10.16.0", ())
    assert found.settings == {
        "warm-up": "500 ms",
        "duration": "3 s",
        "streams": "1",
        "CUDA graph": "on",
        "spin wait": "on",
        "copies": "left out; end to end is a second run with them",
    }
    assert f"--loadEngine={plan}" in found.command


def test_a_sweep_gives_a_benchmark_for_each_batch_in_order(built):
    found = measure(built(), batches=(1, 2, 8), end_to_end=False)

    assert [each.batch for each in found] == [1, 2, 8]
    assert [each.end_to_end for each in found] == [None] * 3
    assert found[0].gpu_compute.median_ms < found[2].gpu_compute.median_ms
    assert found[0].images_per_s < found[2].images_per_s


def test_a_batch_outside_is_refused_with_the_range_before_anything_is_measured(built):
    plan = built()

    with pytest.raises(InputError, match=r"images:9x3x64x64 is outside what the engine takes: images 1\.\.8 x 3 x 64"):
        measure(plan, batches=(1, 9))


def test_a_report_beside_the_engine_tells_the_range_so_that_nothing_is_run_for_it(built):
    """trtexec 8.6 cannot tell it."""
    plan = built("8.6.0")
    shapes = {bound: [n, 3, 64, 64] for bound, n in (("min", 1), ("opt", 2), ("max", 4))}
    report = {"engine": {"sha256": sha256_of(plan)}, "profile": {"name": "p", "optimizations": [{"images": shapes}]}}
    (plan.parent / "report.json").write_text(json.dumps(report))

    [found] = measure(plan)

    assert found.batch == 2
    with pytest.raises(InputError, match=r"images 1\.\.4 x 3"):
        measure(plan, batches=(8,))


@pytest.mark.parametrize("text", ["", "{}", '{"engine": null}', '{"engine": {"sha256": "0"}}', "[" * 99999])
def test_a_report_of_another_engine_or_none_is_not_believed(built, text):
    plan = built()
    (plan.parent / "report.json").write_text(text)

    [found] = measure(plan, end_to_end=False)

    assert found.batch == 4


@pytest.mark.parametrize(
    ("timing", "label"),
    [
        (Timing(graph=False), "not comparable: measured without a CUDA graph"),
        (Timing(streams=2), "not comparable: 2 queries ran at the same time, each is slower for it"),
    ],
)
def test_what_cannot_be_compared_is_labelled(built, timing, label):
    [found] = measure(built(), timing=timing, end_to_end=False)

    assert found.warnings == (label,)


def test_a_gpu_that_was_held_back_is_a_warning(built, monkeypatch):
    class Watch:
        def during(self, _):
            return {"sm_clock_mhz": 1200.0}

        def held_back_by(self, _):
            return ("its temperature",)

    class Watching:
        def __enter__(self):
            return Watch()

        def __exit__(self, *_):
            return None

    monkeypatch.setattr("polyyolo.benchmarking.bench.watching", Watching)

    [found] = measure(built(), end_to_end=False)

    assert found.conditions == {"sm_clock_mhz": 1200}
    assert found.warnings == ("the GPU was held back by its temperature",)


# what measures


def test_trtexec_comes_first_where_both_are_of_the_engines_version(built, tensorrt, cuda, monkeypatch):
    plan = built("8.6.0")
    tensorrt("8.6.0")
    monkeypatch.setattr("polyyolo.benchmarking.event_meter.Cuda", lambda: cuda)
    engine = read_engine_file(plan)

    assert isinstance(choose(engine, plan, "auto", plan), TrtexecMeter)
    assert isinstance(choose(engine, plan, "python", plan), EventMeter)


def test_what_is_of_the_engines_version_comes_before_trtexec_of_another(
    built, tensorrt, cuda, fake_trtexec, monkeypatch
):
    plan = built("8.6.0")
    monkeypatch.setenv("TRTEXEC", str(fake_trtexec("10.16")))
    tensorrt("8.6.0")
    monkeypatch.setattr("polyyolo.benchmarking.event_meter.Cuda", lambda: cuda)

    assert isinstance(choose(read_engine_file(plan), plan, "auto", plan), EventMeter)


def test_where_nothing_is_of_the_engines_version_nothing_is_started(built, fake_trtexec, monkeypatch):
    plan = built("8.6.0")
    monkeypatch.setenv("TRTEXEC", str(fake_trtexec("10.16")))
    monkeypatch.setattr("polyyolo.engines.bindings.version_of", lambda *_: "")

    with pytest.raises(ToolchainError) as error:
        choose(read_engine_file(plan), plan, "auto", plan)

    assert error.value.message == (
        f"{plan} was built with TensorRT 8.6.0.0, and 10.16.0 is here: engines do not move between versions"
    )
    assert "rebuild it here: polyyolo build MODEL.onnx" in error.value.fix


def test_both_ways_give_the_same_record(built, tensorrt, cuda, monkeypatch):
    plan = built("8.6.0")
    tensorrt("8.6.0")
    monkeypatch.setattr("polyyolo.benchmarking.event_meter.Cuda", lambda: cuda)
    short = Timing(warm_up_ms=0, duration_s=0.02)

    [python] = measure(plan, program="python", timing=short, batches=(4,))
    [trtexec] = measure(plan, program="trtexec", timing=short, batches=(4,))

    assert (python.shapes, python.batch, python.settings) == (trtexec.shapes, trtexec.batch, trtexec.settings)
    assert python.command == ()
    assert python.images_per_s == pytest.approx(8000, rel=0.01)


@pytest.mark.parametrize(
    ("program", "said"),
    [
        ("auto", "trtexec is neither on PATH nor"),
        ("auto", "the Python package tensorrt is not installed"),
        ("trtexec", "trtexec is neither"),
        ("python", "the Python package tensorrt is not installed"),
    ],
)
def test_nothing_that_measures_is_told_with_all_that_is_missing(plan, monkeypatch, program, said):
    monkeypatch.setenv("PATH", "")
    monkeypatch.delenv("TRTEXEC", raising=False)
    monkeypatch.setattr("polyyolo.engines.programs.TRTEXEC_FOLDERS", ())
    monkeypatch.setattr("polyyolo.engines.bindings.version_of", lambda *_: "")
    engine = plan()

    with pytest.raises(ToolchainError) as error:
        choose(engine, engine.path, program, engine.path)

    assert f"nothing here measures {engine.path}, which was built with TensorRT 8.6.0.12: " in error.value.message
    assert said in error.value.message


def test_there_is_no_other_program(plan):
    engine = plan()

    with pytest.raises(InputError, match="there is no program 'nsys'"):
        choose(engine, engine.path, "nsys", engine.path)


def test_tensorrt_rtx_measures_plans_for_rtx(plan, fake_trtexec, monkeypatch):
    program = fake_trtexec("rtx-1.7")
    monkeypatch.setenv("PATH", str(program.parent))
    engine = plan((1, 7, 1, 116), b"vtrt")

    meter = choose(engine, engine.path, "auto", engine.path)

    assert (meter.program, meter.dialect.rtx) == (program, True)


# what is kept


def benchmark(engine, batch=1, **fields):
    latency = Latency(100, *[1.0] * 7)
    usual = {"sha256": sha256_of(engine), "settings": {"duration": "3 s"}, "conditions": {}, "gpu": "H200"}
    return Benchmark(
        engine=engine,
        shapes={"images": (batch, 3, 64, 64)},
        batch=batch,
        images_per_s=1000.0,
        gpu_compute=latency,
        end_to_end=None,
        measured_by="trtexec 10.16.0",
        command=(),
        **{**usual, **fields},
    )


@pytest.fixture
def engine(tmp_path):
    path = tmp_path / "model.plan"
    path.write_bytes(b"an engine")
    return path


def test_benchmarks_of_other_batches_and_other_engines_stay(engine, tmp_path):
    other = tmp_path / "other.plan"
    other.write_bytes(b"another")
    for each in (benchmark(engine, 1), benchmark(engine, 8), benchmark(other, 1)):
        keep(each, tmp_path / FILE)

    assert [each.batch for each in benchmarks_of(engine)] == [1, 8]
    assert [each.engine for each in benchmarks_of(other)] == [other]


def test_engines_that_are_measured_at_the_same_time_do_not_lose_each_others_benchmarks(tmp_path, monkeypatch):
    """Each adds to what it read: without waiting for each other, the last one to write would be left alone."""
    engines = [tmp_path / f"{number}.plan" for number in range(4)]
    for each in engines:
        each.write_text(each.name)
    read = keeping.read_json
    monkeypatch.setattr(keeping, "read_json", lambda *words: (time.sleep(0.02), read(*words))[1])

    with ThreadPoolExecutor(len(engines)) as pool:
        list(pool.map(lambda each: keep(benchmark(each), tmp_path / FILE), engines))

    assert {each.engine for each in read(tmp_path / FILE, Kept).benchmarks} == set(engines)


def test_measuring_again_replaces_what_was_measured_in_the_same_way(engine, tmp_path):
    for speed in (1000.0, 2000.0):
        keep(Benchmark(**{**_fields(benchmark(engine)), "images_per_s": speed}), tmp_path / FILE)

    [found] = benchmarks_of(engine)
    assert found.images_per_s == 2000


def test_an_engine_that_was_built_again_has_no_benchmarks(engine, tmp_path):
    keep(benchmark(engine), tmp_path / FILE)
    engine.write_bytes(b"a newer one")

    assert benchmarks_of(engine) == ()
    keep(benchmark(engine, 2), tmp_path / FILE)
    assert len(read_json(tmp_path / FILE, Kept).benchmarks) == 1


@pytest.mark.parametrize("content", ["", "{}", "[]", '{"benchmarks": 3}', "\x00"])
def test_a_damaged_file_holds_nothing_and_is_written_anew(engine, tmp_path, content):
    (tmp_path / FILE).write_text(content)

    assert benchmarks_of(engine) == ()
    keep(benchmark(engine), tmp_path / FILE)
    assert len(benchmarks_of(engine)) == 1


def _fields(record):
    return {each.name: getattr(record, each.name) for each in Benchmark.__attrs_attrs__}


# on a real GPU


@pytest.mark.gpu
def test_both_ways_agree_within_3_percent_on_a_real_engine(tmp_path):
    """Needs trtexec and Python's tensorrt of one version, and an engine: POLYYOLO_ENGINE names it."""
    path = os.environ.get("POLYYOLO_ENGINE")
    if path is None:
        pytest.skip("no engine: POLYYOLO_ENGINE names one that was built on this GPU")
    runs = {
        program: next(bench(Path(path), BenchRequest(program=program), tmp_path / "bench.log"))
        for program in ("trtexec", "python")
    }

    trtexec, python = runs["trtexec"], runs["python"]
    assert python.gpu_compute.median_ms == pytest.approx(trtexec.gpu_compute.median_ms, rel=0.03)
    assert python.images_per_s == pytest.approx(trtexec.images_per_s, rel=0.03)
    assert python.end_to_end.median_ms == pytest.approx(trtexec.end_to_end.median_ms, rel=0.03)


@pytest.fixture
def measure_open(little_open_engine, tmp_path):
    """Measure a real engine of 64x64 to 128x256 with trtexec."""
    if not find_trtexec().version:
        pytest.skip("no trtexec")

    def run(*shapes):
        short = BenchRequest(shapes=shapes, program="trtexec", timing=Timing(warm_up_ms=20, duration_s=0.2))
        return list(bench(little_open_engine, short, tmp_path / "bench.log"))

    return run


@pytest.mark.gpu
def test_a_real_engine_of_open_height_and_width_is_measured_at_its_opt_and_where_it_is_asked(measure_open):
    [usual] = measure_open()
    found = measure_open("1x3x64x64", "images:4x3x128x256")

    assert usual.shapes == {"images": (2, 3, 64, 128)}
    assert [each.shapes["images"] for each in found] == [(1, 3, 64, 64), (4, 3, 128, 256)]
    assert all(each.gpu_compute.samples > 100 for each in found)
    with pytest.raises(InputError, match=r"outside what the engine takes: images 1\.\.4 x 3 x 64\.\.128 x 64\.\.256"):
        measure_open("8x3x64x64")


@pytest.mark.gpu
def test_where_trtexec_alone_is_there_the_shape_that_is_asked_for_finds_the_inputs(measure_open, monkeypatch):
    """trtexec 8.6 makes 1x3x1x1 of what it is not told, and fails."""
    if not find_trtexec().version.startswith("8."):
        pytest.skip("this trtexec tells what an engine takes")
    monkeypatch.setattr("polyyolo.benchmarking.known.version_here", lambda _: "")

    with pytest.raises(InputError, match="input images has open height and width"):
        measure_open()
    [found] = measure_open("1x3x64x128")
    assert found.shapes == {"images": (1, 3, 64, 128)}
    with pytest.raises(InputError, match="does not take these shapes"):
        measure_open("8x3x64x64")
    with pytest.raises(InputError, match="images any x 3 x any x any"):
        measure_open("1x4x64x64")
