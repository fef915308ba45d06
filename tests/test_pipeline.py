"""The whole sentence: a model and pictures in, an engine and its proof out."""

import json
import shutil
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
from attrs import evolve

from polyyolo import files, pipeline, progress
from polyyolo.engines import toolchain
from polyyolo.errors import ModelError, ToolFailed
from polyyolo.models.spec import load, read_spec
from polyyolo.passes.apply import PASSES
from polyyolo.passes.trial import outputs_for
from polyyolo.records import HeadKind, Limits, Outcome, Precision, Request, Route, Run, Toolchain, ToolchainKind

STEPS = ("prepare", "calibrate", "sensitivity", "quantize", "cast to FP16", "verify")


class Heard(progress.Silent):
    def __init__(self):
        self.said = []

    def warned(self, message, fix):
        self.said.append(f"{message}: {fix}")

    def noted(self, message):
        self.said.append(message)


@pytest.fixture(scope="module")
def asked(little_yolo, little_pictures, tmp_path_factory):
    """What most of these tests ask for: nothing is built, the prepared ONNX is the result."""
    return Request(
        model=str(little_yolo),
        images=little_pictures,
        toolchain="none",
        output=tmp_path_factory.mktemp("run") / "first",
    )


@pytest.fixture(scope="module")
def first(asked):
    """One run, made once."""
    return pipeline.engine(asked)


@pytest.fixture
def again(asked, first, tmp_path):
    """The same request with a copy of the first run's folder."""
    return evolve(asked, output=shutil.copytree(first.folder, tmp_path / "run"))


@pytest.fixture
def builder(monkeypatch, tmp_path):
    """Let a script be the Polygraphy that builds; ``body`` gets ``engine``, the path to write."""

    def install(body):
        script = tmp_path / "polygraphy"
        script.write_text(
            f"#!{sys.executable}\nimport pathlib, sys\n"
            f"engine = pathlib.Path(sys.argv[sys.argv.index('-o') + 1])\n{body}\n"
        )
        script.chmod(0o755)
        found = Toolchain(ToolchainKind.RTX, tensorrt="1.7", polygraphy="0.53", polygraphy_path=script)
        monkeypatch.setattr(toolchain, "find", lambda _: found)

    return install


GOOD = "engine.write_bytes(b'vtrt' + bytes(12) + (64).to_bytes(8, 'little') + bytes(40)); print('built')"


def contents(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def kinds(model):
    return [node.op_type for node in model.graph.node]


def test_a_run_leaves_everything_that_it_rests_on_and_nothing_else(first):
    names = {name for name in contents(first.folder) if not name.startswith("pictures/")}

    assert names == {
        ".lock",
        "calibration.json",
        "calibration.png",
        "histograms.npz",
        "manifest.json",
        "model.fp16.onnx",
        "model.int8.onnx",
        "model.onnx",
        "report.json",
        "report.html",
        "report.md",
        "sensitivity.svg",
        "steps.json",
    }
    assert 1 <= len(list((first.folder / "pictures").iterdir())) <= 4


def test_the_built_model_is_int8_and_fp16_and_keeps_what_fp32_finds(first):
    model = load(first.folder / "model.fp16.onnx")

    assert first.built.path == first.folder / "model.fp16.onnx"
    assert first.built.sha256 == files.sha256_of(first.built.path)
    in_int8 = [layer for layer in first.layers if layer.kind == "Conv" and layer.precision is Precision.INT8]
    weights = [node for node in model.graph.node if node.op_type == "QuantizeLinear" and node.attribute]
    assert len(in_int8) == len(weights) == 14 - sum(layer.reason != "" for layer in first.layers)
    assert min(first.fidelity.signal_to_noise_db.values()) > 40
    assert {each.iou: each.f1 > 0.85 for each in first.fidelity.agreements} == {0.5: True, 0.9: True}


def test_the_report_reads_back_as_the_run_that_it_tells_of(first):
    assert files.read_json(first.folder / "report.json", Run) == first


def test_the_manifest_has_what_it_takes_to_do_it_again(first, little_yolo):
    told = json.loads((first.folder / "manifest.json").read_text())

    assert told["model"]["sha256"] == files.sha256_of(little_yolo)
    assert told["model"]["built_from_sha256"] == first.built.sha256
    assert told["pictures"]["seed"] == 0
    assert len(told["pictures"]["used"]) == 20
    assert all(len(each["sha256"]) == 64 for each in told["pictures"]["used"])
    assert {"polyyolo", "python", "numpy", "onnx", "onnxruntime"} <= set(told["versions"])
    assert tuple(told["seconds"]) == STEPS


def test_what_no_gpu_ran_is_unproven(first):
    outcomes = {check.name: check.outcome for check in first.verdict.checks}

    assert first.verdict.outcome is not Outcome.PASS
    assert outcomes["speed"] is Outcome.UNPROVEN
    assert outcomes["engine built"] is Outcome.UNPROVEN


def test_the_same_again_reuses_every_step_and_comes_to_the_same(again, first):
    run = pipeline.engine(again)

    assert run.reused == STEPS
    assert run.verdict == first.verdict
    assert run.fidelity == first.fidelity
    assert run.seconds == first.seconds


def test_a_run_from_nothing_gives_the_same_bytes(asked, first, tmp_path):
    """Calibration, Q/DQ and FP16 are reproducible to the byte."""
    run = pipeline.engine(evolve(asked, output=tmp_path / "second"))

    assert run.reused == ()
    assert run.built.sha256 == first.built.sha256
    assert (run.folder / "histograms.npz").read_bytes() == (first.folder / "histograms.npz").read_bytes()


@pytest.mark.parametrize(
    ("change", "done"),
    [
        ({"seed": 1, "count": 6}, {"calibrate", "sensitivity", "quantize", "cast to FP16", "verify"}),
        ({"count": 8}, {"calibrate", "sensitivity", "quantize", "cast to FP16", "verify"}),
        ({"overrides": {"pad": 0}}, {"calibrate", "sensitivity", "quantize", "cast to FP16", "verify"}),
        ({"method": "max"}, {"sensitivity", "quantize", "cast to FP16", "verify"}),
        ({"budget": 0.0}, {"sensitivity", "quantize", "cast to FP16", "verify"}),
        ({"keep_float": ("auto", "cv1_conv")}, {"sensitivity", "quantize", "cast to FP16", "verify"}),
        ({"half_io": True}, {"cast to FP16", "verify"}),
        ({"limits": Limits(max_drop=9.0)}, set()),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_only_what_a_change_touches_is_done_again(again, change, done):
    run = pipeline.engine(evolve(again, **change))

    assert set(STEPS) - set(run.reused) == done


def test_a_model_with_little_in_int8_is_warned_of(again):
    heard = Heard()

    with progress.listening(heard):
        pipeline.engine(evolve(again, keep_float=("stem",), budget=0.7))

    told = [line for line in heard.said if "of the work runs in INT8" in line]
    assert told == ["only 45% of the work runs in INT8: leave less in float, or build with --precision fp16"]


def test_pictures_whose_bytes_changed_are_calibrated_with_anew(again, first, little_pictures, tmp_path):
    images = shutil.copytree(little_pictures, tmp_path / "images")
    assert pipeline.engine(evolve(again, images=images)).reused == STEPS, "where they lie does not matter"

    (images / first.calibration.sources[0].name).write_bytes((images / first.calibration.sources[1].name).read_bytes())

    assert "calibrate" not in pipeline.engine(evolve(again, images=images)).reused


def test_a_changed_option_that_is_taken_back_costs_one_run_each(again):
    pipeline.engine(evolve(again, seed=1))

    assert "calibrate" not in pipeline.engine(again).reused


def test_what_another_run_called_the_head_is_not_reused(again):
    asked = evolve(again, keep_float=("stem",))
    pipeline.engine(evolve(asked, head=HeadKind.NONE))

    run = pipeline.engine(asked)

    assert run.built.head.kind is run.source.head.kind is not HeadKind.NONE


def test_another_batch_measures_anew_what_the_first_of_each_batch_costs(asked, little_dynamic, tmp_path):
    one = evolve(asked, model=str(little_dynamic), output=tmp_path / "run")
    pipeline.engine(one)

    (tmp_path / "fours.toml").write_text(
        '[[profile]]\n[profile."*"]\nmin = [1, 3, 64, 64]\nopt = [4, 3, 64, 64]\nmax = [8, 3, 64, 64]\n'
    )
    run = pipeline.engine(evolve(one, profile=str(tmp_path / "fours.toml")))

    assert run.calibration.batch == 4
    assert "sensitivity" not in run.reused


def test_what_came_back_from_another_machine_does_not_leave_the_report_in_silence(
    again, builder, tmp_path, monkeypatch
):
    built = pipeline.engine(again)
    builder(GOOD)
    elsewhere = pipeline.engine(evolve(again, output=tmp_path / "elsewhere")).engine
    joined = evolve(built, engine=evolve(elsewhere, path=tmp_path / "back" / "engine" / "model.plan"))
    files.write_json(built.folder / "report.json", joined)
    monkeypatch.undo()
    heard = Heard()

    with progress.listening(heard):
        pipeline.engine(again)

    (told,) = [line for line in heard.said if "came back" in line]
    assert told.startswith(
        f"{again.output} has no figures of the engine that came back in {tmp_path / 'back'} any more"
    )
    assert told.endswith(f"polyyolo report {again.output} --from {tmp_path / 'back'}")


def test_a_run_that_was_moved_is_not_built_again(again, builder, tmp_path):
    builder(GOOD)
    pipeline.engine(again)
    moved = again.output.rename(tmp_path / "moved")

    run = pipeline.engine(evolve(again, output=moved))

    assert "build" in run.reused
    assert run.engine.path == moved / "model.plan"


def test_an_engine_is_built_and_described(again, builder):
    builder(GOOD)

    run = pipeline.engine(again)

    assert run.engine.path == again.output / "model.plan"
    assert run.engine.size_bytes == 64
    assert run.engine.sha256 == files.sha256_of(run.engine.path)
    assert run.plan.command.argv[2:6] == (str(run.built.path), "--convert-to", "trt", "-o")
    assert (again.output / "build.log").read_text().endswith("built\n")
    assert "build" in pipeline.engine(again).reused


def test_a_failing_builder_leaves_earlier_results_untouched(again, builder):
    builder("print('out of tactics'); sys.exit(3)")
    before = contents(again.output)

    with pytest.raises(ToolFailed) as failed:
        pipeline.engine(evolve(again, seed=1))

    assert failed.value.status == 3
    assert "out of tactics" in failed.value.tail
    kept = {name: data for name, data in contents(again.output).items() if not name.startswith(".partial/")}
    assert kept == before


def test_after_a_failed_build_the_calibration_is_still_there(again, builder):
    builder("sys.exit(3)")
    with pytest.raises(ToolFailed):
        pipeline.engine(evolve(again, seed=1))
    builder(GOOD)

    run = pipeline.engine(evolve(again, seed=1))

    assert run.reused == ("prepare", "calibrate", "sensitivity", "quantize", "cast to FP16")


def test_the_log_of_a_failed_build_can_be_read(again, builder):
    builder("print('a long story'); sys.exit(3)")

    with pytest.raises(ToolFailed) as failed:
        pipeline.engine(again)

    assert "a long story" in failed.value.log_path.read_text()


def test_fp16_calibrates_nothing(asked, tmp_path):
    run = pipeline.engine(evolve(asked, precision=Precision.FP16, output=tmp_path / "run"))

    assert run.calibration is None
    assert tuple(run.seconds) == ("prepare", "cast to FP16", "verify")
    assert "QuantizeLinear" not in kinds(load(run.built.path))
    assert run.fidelity.agreements[1].f1 > 0.98
    assert {layer.precision for layer in run.layers} == {Precision.FP16, Precision.FP32}


def test_fp32_changes_numbers_by_rounding_alone(asked, tmp_path):
    run = pipeline.engine(evolve(asked, precision=Precision.FP32, output=tmp_path / "run"))

    assert run.built.path.name == "model.onnx"
    assert run.fidelity.agreements[1].f1 > 0.98
    batch = np.random.default_rng(0).random((1, 3, 64, 64), np.float32)
    (expected,), (got,) = (outputs_for(load(path), batch).values() for path in (Path(asked.model), run.built.path))
    np.testing.assert_allclose(got, expected, rtol=0, atol=1e-6 * np.abs(expected).max())


def test_an_open_batch_is_calibrated_at_the_profiles_usual_shape(asked, little_dynamic, first, tmp_path):
    profile = tmp_path / "four.toml"
    profile.write_text('[[profile]]\n[profile."*"]\nmin = [1, 3, 64, 64]\nopt = [4, 3, 64, 64]\nmax = [8, 3, 64, 64]\n')

    run = pipeline.engine(evolve(asked, model=str(little_dynamic), profile=str(profile), output=tmp_path / "run"))

    assert run.calibration.batch == 4
    assert run.built.image_input.dims[0] == "batch"
    assert run.fidelity.agreements == first.fidelity.agreements


def test_a_model_with_qdq_nodes_goes_through_unchanged(asked, first, tmp_path):
    heard = Heard()

    with progress.listening(heard):
        run = pipeline.engine(evolve(asked, model=str(first.folder / "model.int8.onnx"), output=tmp_path / "run"))

    assert tuple(run.seconds) == ("prepare",)
    assert load(run.built.path).graph.node == load(first.folder / "model.int8.onnx").graph.node
    assert any("it is built as it is" in line for line in heard.said)
    assert sum(layer.macs for layer in run.layers if layer.precision is Precision.INT8) > 0


def plain_network(path):
    """A model that is no YOLO: two convolutions and a mean."""
    generator = np.random.default_rng(0)
    model = onnx.parser.parse_model(
        """<ir_version: 8, opset_import: ["" : 17]> plain (float[1,3,64,64] images) => (float[1,4,1,1] y) {
            a = Conv(images, w1)  b = Relu(a)  c = Conv(b, w2)  d = Relu(c)  e = Conv(d, w3)  y = GlobalAveragePool(e)
        }"""
    )
    for name, shape in {"w1": (8, 3, 3, 3), "w2": (8, 8, 3, 3), "w3": (4, 8, 1, 1)}.items():
        weight = generator.normal(0, 0.2, shape).astype(np.float32)
        model.graph.initializer.append(onnx.numpy_helper.from_array(weight, name))
    onnx.save(model, path)
    return str(path)


def test_a_model_that_is_no_yolo_still_works_and_its_outputs_are_compared(asked, tmp_path):
    run = pipeline.engine(evolve(asked, model=plain_network(tmp_path / "plain.onnx"), output=tmp_path / "run"))

    assert run.source.head.kind is HeadKind.NONE
    assert run.fidelity.agreements == ()
    assert run.fidelity.signal_to_noise_db["y"] > 20
    assert run.verdict.outcome is Outcome.UNPROVEN
    assert "QuantizeLinear" in kinds(load(run.built.path))


def test_a_model_without_anything_to_quantize_says_so(asked, tmp_path):
    model = onnx.parser.parse_model(
        """<ir_version: 8, opset_import: ["" : 17]> plain (float[1,3,64,64] images) => (float[1,3,64,64] y) {
            a = Relu(images)  y = Sigmoid(a)
        }"""
    )
    onnx.save(model, tmp_path / "empty.onnx")

    with pytest.raises(ModelError, match="nothing that could run in INT8: it holds no convolution") as refused:
        pipeline.engine(evolve(asked, model=str(tmp_path / "empty.onnx"), output=tmp_path / "run"))

    assert "--precision fp16" in refused.value.fix


def test_a_budget_that_leaves_all_in_float_says_what_stays_and_why(asked, tmp_path):
    with pytest.raises(ModelError, match=r"in INT8: 3 head output; 11 nearest the image"):
        pipeline.engine(evolve(asked, keep_float=("stem",), budget=1.0, output=tmp_path / "run"))


def test_a_model_of_which_only_the_first_convolution_runs_in_int8(asked, tmp_path):
    """Nothing but the picture itself is measured then."""
    names = ("down1_conv", "cv1_conv", "m1_conv", "m2_conv", "cv2_conv", "p3_conv", "p4_conv", "p5_conv", "top_conv")

    run = pipeline.engine(evolve(asked, keep_float=(*names, "middle_conv"), output=tmp_path / "run"))

    assert kinds(load(run.built.path)).count("QuantizeLinear") == 2


def test_a_model_that_cannot_be_simplified_gets_its_constants_folded(asked, tmp_path, monkeypatch):
    def refuse(*_):
        raise ModelError("onnxslim failed")

    heard = Heard()
    monkeypatch.setattr("polyyolo.passes.apply.PASSES", {**PASSES, "simplify": refuse})

    with progress.listening(heard):
        run = pipeline.engine(evolve(asked, output=tmp_path / "run"))

    assert any("onnxslim failed: constants are folded instead" in line for line in heard.said)
    assert run.fidelity.agreements[0].f1 > 0.85


def test_a_damaged_ledger_costs_a_run_but_nothing_else(again, first):
    (again.output / "steps.json").write_text("{")

    run = pipeline.engine(again)

    assert run.reused == ()
    assert run.built.sha256 == first.built.sha256


def test_the_model_may_change_between_runs(again, little_dynamic):
    run = pipeline.engine(evolve(again, model=str(little_dynamic)))

    assert run.source == read_spec(little_dynamic)
    assert run.reused == ()


@pytest.mark.parametrize("step", ["simplify", "sensitivity"])
def test_a_model_that_is_written_over_meanwhile_is_refused(asked, little_dynamic, tmp_path, step):
    """INT8 of the one model would be compared with FP32 of the other, and reused for the one."""
    model = shutil.copy(asked.model, tmp_path / "model.onnx")

    class Training(progress.Silent):
        def started(self, name, _total):
            if name == step:
                shutil.copy(little_dynamic, model)

    with progress.listening(Training()), pytest.raises(ModelError, match=r"model\.onnx was changed meanwhile"):
        pipeline.engine(evolve(asked, model=str(model), output=tmp_path / "run"))


def test_where_the_builder_makes_fp16_by_itself_a_cast_model_tells_what_it_costs(
    asked, fake_trtexec, monkeypatch, tmp_path
):
    found = Toolchain(ToolchainKind.TENSORRT, tensorrt="8.6.0", trtexec=fake_trtexec("8.6.0"))
    monkeypatch.setattr(toolchain, "find", lambda _: found)
    request = evolve(asked, precision=Precision.FP16, toolchain="tensorrt", output=tmp_path / "run")

    run = pipeline.engine(request)

    assert (run.built.path.name, "--fp16" in run.plan.command.argv) == ("model.onnx", True)
    in_fp16 = run.fidelity.signal_to_noise_db["output0"]
    in_fp32 = pipeline.engine(evolve(request, precision=Precision.FP32, output=tmp_path / "other"))
    assert 60 < in_fp16 < in_fp32.fidelity.signal_to_noise_db["output0"] - 20


@pytest.mark.parametrize(
    ("largest", "dims"), [((64, 96), ("batch", 3, 64, 96)), ((128, 96), ("batch", 3, "height", "width"))]
)
def test_an_open_size_is_fixed_where_the_profile_leaves_one(little_open, little_pictures, tmp_path, largest, dims):
    height, width = largest
    (tmp_path / "sizes.toml").write_text(
        f"[[profile]]\nimages = {{ min = [1, 3, 64, 96], opt = [2, 3, 64, 96], max = [4, 3, {height}, {width}] }}"
    )
    request = Request(
        model=str(little_open),
        images=little_pictures,
        precision=Precision.FP16,
        head=HeadKind.V8,
        profile=str(tmp_path / "sizes.toml"),
        toolchain="none",
        output=tmp_path / "run",
    )

    run = pipeline.engine(request)

    assert read_spec(run.folder / "model.onnx", head=HeadKind.V8).image_input.dims == dims
    assert ("shape(size=(64, 96))" in run.built.history) == (dims[2] == 64)


def test_zero_points_that_nodes_compute_become_constants_of_what_is_built(asked, tmp_path):
    """As PyTorch exports them; TensorRT 8.6 does not take them."""
    made = pipeline.engine(evolve(asked, output=tmp_path / "run", toolchain="none"))
    model = load(made.folder / "model.int8.onnx")
    zero = next(node for node in model.graph.node if node.op_type == "QuantizeLinear").input[2]
    kept = next(each for each in model.graph.initializer if each.name == zero)
    kept.name = "kept"
    model.graph.node.insert(0, onnx.helper.make_node("Identity", ["kept"], [zero]))
    onnx.save(model, tmp_path / "qat.onnx")

    run = pipeline.engine(evolve(asked, model=str(tmp_path / "qat.onnx"), output=tmp_path / "qat", toolchain="none"))

    assert run.built.history[-1] == "fold-constants"
    assert not [node for node in load(run.built.path).graph.node if node.op_type == "Identity"]


@pytest.fixture
def begins_as_yolov5(tmp_path):
    """A model whose first convolution has a kernel of 6 x 6, of 7 x 7 once it is prepared, and SiLU behind it."""
    model = onnx.parser.parse_model("""
        <ir_version: 8, opset_import: ["" : 17]>
        begins (float[1,3,64,64] images) => (float[1,8,16,16] y) {
            a = Conv<kernel_shape = [6, 6], strides = [2, 2], pads = [2, 2, 2, 2]>(images, w0, b0)
            a_gate = Sigmoid(a)
            a_silu = Mul(a, a_gate)
            b = Conv<kernel_shape = [3, 3], strides = [2, 2], pads = [1, 1, 1, 1]>(a_silu, w1, b1)
            b_gate = Sigmoid(b)
            b_silu = Mul(b, b_gate)
            y = Conv(b_silu, w2, b2)
        }""")
    generator = np.random.default_rng(0)
    for name, shape in (("0", (16, 3, 6, 6)), ("1", (16, 16, 3, 3)), ("2", (8, 16, 1, 1))):
        weights = generator.normal(0, 2, shape).astype(np.float32)
        bias = np.zeros(shape[0], np.float32)
        tensors = (onnx.numpy_helper.from_array(weights, f"w{name}"), onnx.numpy_helper.from_array(bias, f"b{name}"))
        model.graph.initializer.extend(tensors)
    onnx.save(model, tmp_path / "begins.onnx")
    return tmp_path / "begins.onnx"


@pytest.mark.parametrize(
    ("changes", "shifted"), [({}, True), ({"shift": False}, False), ({"route": Route.CALIBRATED}, False)]
)
def test_int8_before_silu_is_shifted_where_shifts_are_wanted_alone(
    begins_as_yolov5, little_pictures, tmp_path, changes, shifted
):
    asked = Request(
        str(begins_as_yolov5),
        images=little_pictures,
        count=1,
        toolchain="none",
        keep_float=("none",),
        output=tmp_path / "run",
    )

    pipeline.engine(evolve(asked, **changes))

    nodes = load(tmp_path / "run" / "model.int8.onnx").graph.node
    first = next(node for node in nodes if node.op_type == "Conv")
    quantized = [node for node in nodes if node.op_type == "QuantizeLinear" and node.input[0] == first.output[0]]
    assert bool(quantized) is shifted
    assert any("_middle" in name for node in nodes for name in node.input) is shifted


@pytest.mark.parametrize(
    ("changes", "told"), [({"precision": Precision.FP32}, 1), ({"route": Route.CALIBRATED}, 1), ({}, 0)]
)
def test_half_io_is_told_to_have_no_effect_where_nothing_is_cast(asked, tmp_path, changes, told):
    heard = Heard()
    with progress.listening(heard):
        pipeline.engine(evolve(asked, half_io=True, output=tmp_path / "run", **changes))

    assert sum("--half-io: without effect" in line for line in heard.said) == told
