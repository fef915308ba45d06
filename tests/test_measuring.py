"""The engine that a run built is run where a GPU is: its speed, its boxes and its layers are in the report and verdict.

trtexec is the fake one, and TensorRT's runtime in this process is played with ONNX Runtime; the marked test has both.
"""

import json
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest
from attrs import evolve
from polygraphy.datatype import DataType

from polyyolo import files, pipeline
from polyyolo.benchmarking.keeping import FILE, Kept, benchmarks_of
from polyyolo.engines import toolchain
from polyyolo.engines.gpu import Gpu, first_gpu
from polyyolo.errors import InputError
from polyyolo.records import Limits, Outcome, Precision, Request, Run, Toolchain, ToolchainKind
from polyyolo.reports.advice import advise
from polyyolo.verification import engine_session
from polyyolo.verification.session import Session

STEPS = ("measure", "run the engine", "engine layers")
SPEED, ACCURACY = "speed", "the engine's own accuracy"


class PlayedEngine:
    """What TensorRT loads: batch 1, and layers that its inspector knows."""

    names = ("images", "output0")
    num_io_tensors = 2
    told = json.dumps({"Layers": [{"Name": "stem", "LayerType": "CaskConvolution", "Inputs": [], "Outputs": []}]})

    def get_tensor_name(self, place):
        return self.names[place]

    def get_tensor_profile_shape(self, _name, _profile):
        return [[1, 3, 64, 64]] * 3

    def create_engine_inspector(self):
        return SimpleNamespace(get_engine_information=lambda _: self.told)


class PlayedRunner:
    """Runs the ONNX that the engine was built from; ``change`` is what TensorRT would do otherwise."""

    def __init__(self, onnx, change):
        self.session, self.change = Session(onnx), change

    def activate(self):
        self.session.__enter__()

    def deactivate(self):
        self.session.__exit__(None, None, None)

    def get_input_metadata(self):
        return {"images": SimpleNamespace(dtype=DataType.FLOAT32)}

    def infer(self, feed, check_inputs):
        assert not check_inputs
        return {name: self.change(array) for name, array in self.session.infer(feed).items()}


@pytest.fixture
def asked(little_yolo, little_pictures, tmp_path):
    return Request(model=str(little_yolo), images=little_pictures, keep_float=("stem",), output=tmp_path / "run")


@pytest.fixture
def gpu(monkeypatch, fake_trtexec, asked):
    """A machine with an H200, trtexec 10.16 and its Python package."""

    def install(fail=None, change=lambda array: array, version="10.16.0"):
        program = fake_trtexec("10.16.0", fail)
        found = Toolchain(
            ToolchainKind.TENSORRT,
            tensorrt="10.16.0",
            trtexec=program,
            gpu="NVIDIA H200",
            compute_capability="9.0",
        )
        monkeypatch.setattr(toolchain, "find", lambda _: found)
        monkeypatch.setenv("TRTEXEC", str(program))
        trt = ModuleType("tensorrt")
        trt.LayerInformationFormat = SimpleNamespace(JSON=0)
        monkeypatch.setitem(sys.modules, "tensorrt", trt)
        monkeypatch.setattr("polyyolo.engines.bindings.version_of", lambda *_: version)
        monkeypatch.setattr(engine_session, "first_gpu", lambda: Gpu("NVIDIA H200", "9.0"))
        monkeypatch.setattr(engine_session, "load", lambda _: PlayedEngine())
        monkeypatch.setattr("polyyolo.engine_layers.inspector.load", lambda _: PlayedEngine())
        onnx = asked.output / ".partial" / "model.fp16.onnx"
        backend = SimpleNamespace(TrtRunner=lambda _: PlayedRunner(onnx, change))
        monkeypatch.setattr(engine_session, "_backend", lambda _: backend)

    return install


def checks_of(run):
    return {check.name: check for check in run.verdict.checks}


def test_an_engine_is_timed_run_over_the_pictures_and_looked_into(asked, gpu):
    gpu()

    run = pipeline.engine(asked)

    checks = checks_of(run)
    assert (checks[SPEED].outcome, checks[ACCURACY].outcome) == (Outcome.PASS, Outcome.PASS)
    assert checks[SPEED].got.startswith("0.455 ms for 1x3x64x64, ")
    assert checks[SPEED].got.endswith(" on NVIDIA H200, by trtexec 10.16.0")
    assert checks[ACCURACY].got.startswith("1.000 on ")
    assert checks[ACCURACY].got.endswith("boxes, 4 pictures; output0 200.0 dB")
    assert [layer.name for layer in run.engine_layers] == ["stem"]
    assert [each.shapes for each in run.benchmarks] == [{"images": (1, 3, 64, 64)}]
    assert run.benchmarks[0].engine == run.engine.path == asked.output / "model.plan"
    assert f"--loadEngine={run.engine.path}" in run.benchmarks[0].command


def test_what_was_measured_lies_beside_the_engine_where_verify_looks_for_it(asked, gpu):
    gpu()

    run = pipeline.engine(asked)

    assert benchmarks_of(run.engine.path) == run.benchmarks
    assert files.read_json(run.folder / "report.json", Run) == run
    assert "--loadEngine" in (run.folder / "measure.log").read_text()


def test_the_same_again_reuses_every_measurement_and_keeps_what_the_user_measured_beside_it(asked, gpu):
    gpu()
    first = pipeline.engine(asked)
    other = evolve(first.benchmarks[0], shapes={"images": (8, 3, 64, 64)}, batch=8)
    files.write_json(first.folder / FILE, Kept((other, *first.benchmarks)))

    again = pipeline.engine(asked)

    assert set(STEPS) < set(again.reused)
    assert again.benchmarks == first.benchmarks
    assert again.verdict == first.verdict
    assert {each.batch for each in benchmarks_of(again.engine.path)} == {1, 8}


def test_with_labels_the_engine_may_lose_a_tenth_of_a_point_to_what_was_predicted(asked, gpu, little_seen):
    gpu()

    check = checks_of(pipeline.engine(evolve(asked, labelled=little_seen)))[ACCURACY]

    assert check.wanted == "at most 0.1 points of mAP50-95 less than ONNX Runtime predicts"
    assert check.outcome is Outcome.PASS
    assert check.got.startswith("0.00 points lost (2 standard errors: 0.00)")


def test_an_engine_that_sees_something_else_fails_however_fast_it_is(asked, gpu):
    gpu(change=lambda array: array[:, [1, 0, 2, 3, 5, 4]])

    run = pipeline.engine(asked)

    checks = checks_of(run)
    assert (checks[SPEED].outcome, checks[ACCURACY].outcome) == (Outcome.PASS, Outcome.FAIL)
    assert checks[ACCURACY].got.startswith("0.0")
    assert any("computes otherwise" in step.what for step in advise(run))


@pytest.mark.parametrize(
    ("limits", "name", "outcome", "told"),
    [
        (Limits(max_latency_ms=0.5), "speed", Outcome.PASS, "0.455 ms"),
        (Limits(max_latency_ms=0.4), "speed", Outcome.FAIL, "0.455 ms"),
        (Limits(min_speedup=2), "speed-up", Outcome.PASS, "4.00 times: 0.455 ms of 1.821 ms"),
        (Limits(min_speedup=5), "speed-up", Outcome.FAIL, "4.00 times"),
    ],
)
def test_limits_on_speed_are_held(asked, gpu, tmp_path, *, limits, name, outcome, told):
    gpu()
    first = pipeline.engine(asked)
    latency = evolve(first.benchmarks[0].gpu_compute, median_ms=4 * first.benchmarks[0].gpu_compute.median_ms)
    files.write_json(tmp_path / "fp32.json", Kept((evolve(first.benchmarks[0], sha256="f" * 64, gpu_compute=latency),)))

    run = pipeline.engine(evolve(asked, limits=limits, baseline=tmp_path / "fp32.json"))

    assert "measure" in run.reused
    assert checks_of(run)[name].outcome is outcome
    assert checks_of(run)[name].got.startswith(told)


def test_a_baseline_that_holds_no_benchmark_is_refused_before_any_work(asked, tmp_path):
    files.write_json(tmp_path / "fp32.json", Kept(()))

    with pytest.raises(InputError, match="holds no benchmark"):
        pipeline.engine(evolve(asked, toolchain="none", baseline=tmp_path / "fp32.json"))

    assert not asked.output.exists()


def test_an_engine_that_crashes_on_the_gpu_is_a_failed_check_with_its_cause_and_no_traceback(asked, gpu, monkeypatch):
    gpu()
    monkeypatch.setattr(PlayedRunner, "activate", lambda _: (_ for _ in ()).throw(RuntimeError("no context")))
    torn = lambda path, *_: (_ for _ in ()).throw(InputError(f"{path} is torn"))  # noqa: E731
    monkeypatch.setattr("polyyolo.measuring.benching.bench", torn)

    run = pipeline.engine(asked)

    checks = checks_of(run)
    assert (checks[SPEED].outcome, checks[ACCURACY].outcome) == (Outcome.FAIL, Outcome.FAIL)
    assert checks[SPEED].got == f"the engine does not run: {run.engine.path} is torn", "its place once it is done"
    assert checks[ACCURACY].got.startswith("the engine does not run: TensorRT cannot run")
    assert checks[ACCURACY].got.endswith("no context")
    assert run.benchmarks == ()
    assert [step.command for step in advise(run) if "does not run" in step.what] == [
        f"polyyolo bench {run.engine.path}"
    ]


def test_trtexec_that_dies_measuring_fails_the_check_and_is_tried_again_next_time(asked, gpu, monkeypatch):
    gpu()
    pipeline.engine(evolve(asked, measure=False))
    monkeypatch.setenv("FAKE_TRTEXEC_FAIL", "out-of-memory")

    failed = pipeline.engine(asked)
    monkeypatch.delenv("FAKE_TRTEXEC_FAIL")
    again = pipeline.engine(asked)

    assert checks_of(failed)[SPEED].outcome is Outcome.FAIL
    assert "does not fit into the memory that is free" in checks_of(failed)[SPEED].got
    assert checks_of(again)[SPEED].outcome is Outcome.PASS
    assert "build" in again.reused


def test_without_the_python_package_the_speed_is_known_and_the_accuracy_is_not(asked, gpu):
    gpu(version="10.9.0")

    run = pipeline.engine(asked)

    checks = checks_of(run)
    assert checks[SPEED].outcome is Outcome.PASS
    assert (checks[ACCURACY].outcome, run.engine_layers) == (Outcome.UNPROVEN, ())
    assert "and 10.9.0 is here: engines do not move between versions" in checks[ACCURACY].got
    assert any("layers cannot be read" in each.message for each in run.warnings)


def test_nothing_is_run_where_that_was_not_wanted(asked, gpu):
    gpu()

    run = pipeline.engine(evolve(asked, measure=False))

    assert set(STEPS).isdisjoint(run.seconds)
    assert {checks_of(run)[name].got for name in (SPEED, ACCURACY)} == {"left out with --no-measure"}
    assert not (run.folder / FILE).exists()


@pytest.mark.parametrize(
    ("machine", "capabilities", "told"),
    [
        ({}, (), "the engine was not run on a GPU: "),
        ({"gpu": "H200", "compute_capability": "9.0"}, (), "TensorRT for RTX does not run on H200, of compute"),
        ({"gpu": "RTX 4090", "compute_capability": "8.9"}, ("12.0",), "it was built for compute capability 12.0, and"),
    ],
)
def test_an_engine_for_another_gpu_is_unproven_with_the_reason(
    asked, monkeypatch, tmp_path, *, machine, capabilities, told
):
    script = tmp_path / "polygraphy"
    script.write_text(
        f"#!{sys.executable}\nimport pathlib, sys\n"
        "engine = pathlib.Path(sys.argv[sys.argv.index('-o') + 1])\n"
        "engine.write_bytes(b'vtrt' + bytes(12) + (64).to_bytes(8, 'little') + bytes(40))\n"
    )
    script.chmod(0o755)
    found = Toolchain(ToolchainKind.RTX, tensorrt="1.7", polygraphy="0.53", polygraphy_path=script, **machine)
    monkeypatch.setattr(toolchain, "find", lambda _: found)

    checks = checks_of(pipeline.engine(evolve(asked, compute_capabilities=capabilities)))

    assert (checks[SPEED].outcome, checks[ACCURACY].outcome) == (Outcome.UNPROVEN, Outcome.UNPROVEN)
    assert checks[SPEED].got.startswith(told)


@pytest.mark.gpu
@pytest.mark.parametrize("precision", [Precision.FP16, Precision.INT8])
def test_a_real_engine_is_proven_by_one_command(little_yolo, little_pictures, tmp_path, precision):
    """TF32 and FP16 move boxes a little: they must agree with what ONNX Runtime predicts all the same."""
    if first_gpu().missing:
        pytest.skip(first_gpu().missing)
    pytest.importorskip("tensorrt", reason="TensorRT is not installed")
    asked = Request(
        model=str(little_yolo),
        images=little_pictures,
        precision=precision,
        toolchain="tensorrt",
        output=Path(tmp_path / "run"),
    )

    run = pipeline.engine(asked)
    again = pipeline.engine(asked)

    checks = checks_of(run)
    assert checks[SPEED].outcome is Outcome.PASS, checks[SPEED].got
    assert checks[ACCURACY].outcome is not Outcome.FAIL, checks[ACCURACY].got
    assert 0 < run.benchmarks[0].gpu_compute.median_ms < 10
    assert len(run.engine_layers) > 5
    assert set(STEPS) < set(again.reused)
    assert again.benchmarks == run.benchmarks
