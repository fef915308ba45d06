"""What a run decides and refuses before it writes a byte."""

from pathlib import Path

import numpy as np
import onnx
import pytest
from attrs import evolve

from polyyolo import progress
from polyyolo.decisions import decide
from polyyolo.engines import toolchain
from polyyolo.errors import InputError, LabelError, ModelError, PictureError, ProfileError, ToolchainError
from polyyolo.models.half import Half
from polyyolo.models.spec import load, read_spec
from polyyolo.premises import check_speedup
from polyyolo.quantization.placement import FloatBudget
from polyyolo.quantization.quantize import placement_of, quantize
from polyyolo.records import (
    CalibrationTable,
    Limits,
    Precision,
    Preprocessing,
    Request,
    Route,
    Toolchain,
    ToolchainKind,
)

RTX = toolchain.named("1.7", kind=ToolchainKind.RTX)


class Heard(progress.Silent):
    def __init__(self):
        self.said = []

    def warned(self, message, fix):  # noqa: ARG002 - the listener's signature
        self.said.append(message)

    def noted(self, message):
        self.said.append(message)


@pytest.fixture
def asked(little_yolo, little_pictures):
    """A request for the little YOLO where nothing builds engines."""
    return Request(model=str(little_yolo), images=little_pictures, toolchain="none")


@pytest.fixture
def rtx(monkeypatch):
    """Let TensorRT for RTX be what is here."""
    monkeypatch.setattr(toolchain, "find", lambda _: RTX)


@pytest.fixture(autouse=True)
def elsewhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def test_deciding_writes_nothing(asked, tmp_path):
    decide(asked)

    assert list(tmp_path.iterdir()) == []


def test_a_fifth_of_the_pictures_is_kept_for_the_comparison_and_never_calibrated_with(asked, little_pictures):
    heard = Heard()
    with progress.listening(heard):
        found = decide(asked)

    assert "4 of 24 pictures are not calibrated with, to compare the models on: none are labelled" in heard.said
    assert len(found.calibration.sources) == 20
    assert len(found.held) == 4
    assert set(found.calibration.sources) | set(found.held) == set(little_pictures.iterdir())
    assert found.held_out


def test_with_labelled_pictures_all_others_calibrate(asked, little_labelled):
    heard = Heard()
    with progress.listening(heard):
        found = decide(evolve(asked, labelled=little_labelled))

    assert not any("not calibrated with" in each for each in heard.said)
    assert len(found.calibration.sources) == 24
    assert found.held == ()
    assert len(found.compared_on) == 8
    assert found.held_out


def test_no_more_pictures_are_taken_than_asked_for(asked):
    assert len(decide(evolve(asked, count=5)).calibration.sources) == 5


def test_the_seed_decides_which(asked):
    chosen = [decide(evolve(asked, count=5, seed=seed)).calibration.sources for seed in (0, 0, 1)]

    assert chosen[0] == chosen[1]
    assert set(chosen[0]) != set(chosen[2])


def test_measuring_on_pictures_that_were_calibrated_with_is_told(asked, little_labelled):
    heard = Heard()

    with progress.listening(heard):
        found = decide(evolve(asked, images=little_labelled / "images", labelled=little_labelled))

    assert not found.held_out
    assert "8 of the 8 pictures to compare on were calibrated with, as held-0.png" in heard.said


def test_unreadable_pictures_are_neither_calibrated_with_nor_compared_on(asked, little_pictures, tmp_path):
    for path in little_pictures.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    for number in range(12):
        (tmp_path / f"torn-{number}.jpg").write_bytes(b"\xff\xd8 half a picture")

    found = decide(evolve(asked, images=tmp_path))
    used = (*found.calibration.sources, *found.held)

    assert not any(path.name.startswith("torn") for path in used)
    assert len(used) == 24


def test_without_pictures_int8_takes_the_samples(asked, monkeypatch, little_pictures):
    monkeypatch.setattr("polyyolo.images.samples.fetch", lambda: little_pictures)

    assert len(decide(evolve(asked, images=None)).calibration.sources) == 20


@pytest.mark.parametrize("precision", [Precision.FP32, Precision.FP16])
def test_without_int8_nothing_is_calibrated_and_pictures_only_compare(asked, precision):
    found = decide(evolve(asked, precision=precision))

    assert found.calibration is None
    assert not found.quantizes
    assert len(found.held) == 4
    assert found.casts is (precision is Precision.FP16)
    assert decide(evolve(asked, precision=precision, images=None)).held == ()


def test_an_array_calibrates_and_leaves_nothing_to_compare_on(asked, tmp_path):
    np.save(tmp_path / "pictures.npy", np.random.default_rng(0).random((6, 3, 64, 64), np.float32))

    found = decide(evolve(asked, images=tmp_path / "pictures.npy"))

    assert len(found.calibration.indices) == 6
    assert found.compared_on == ()


@pytest.fixture
def quantized(little_yolo, tmp_path_factory):
    """The little YOLO as somebody else quantized it."""
    spec = read_spec(little_yolo)
    placement = placement_of(spec, (64, 64), FloatBudget(0.10))
    table = CalibrationTable(
        model_sha256=spec.sha256,
        set_sha256="",
        preprocessing=Preprocessing((64, 64)),
        pictures=1,
        method="max",
        ranges={name: {"max": 8.0} for name in placement.observed},
        histogram_sha256="",
    )
    return quantize(spec, table, placement, tmp_path_factory.mktemp("qat") / "qat.onnx").path


def test_a_quantized_model_is_left_as_it_is_and_says_so(asked, quantized):
    heard = Heard()

    with progress.listening(heard):
        found = decide(evolve(asked, model=str(quantized)))

    assert (found.quantizes, found.casts, found.calibration) == (False, False, None)
    assert "qat.onnx already holds Q/DQ nodes: it is built as it is, without calibration" in heard.said


@pytest.mark.parametrize(("limits", "told"), [(Limits(), 1), (Limits(min_speedup=2), 0)])
def test_a_baseline_that_nothing_is_held_against_is_told(limits, told):
    heard = Heard()

    with progress.listening(heard):
        check_speedup(limits, Path("baseline.json"))

    assert sum("--baseline baseline.json: without effect" in each for each in heard.said) == told


@pytest.mark.parametrize("toolchain", ["none", "rtx"])
def test_a_quantized_model_is_not_taken_for_another_precision(asked, quantized, toolchain):
    with pytest.raises(InputError, match="holds Q/DQ nodes, which run in INT8, but fp16 was asked for"):
        decide(evolve(asked, model=str(quantized), precision=Precision.FP16, toolchain=toolchain))


@pytest.mark.parametrize(("kept", "told"), [(("none",), True), (("stem_conv",), True), (("stem", "stem_conv"), False)])
def test_a_budget_that_nothing_is_chosen_by_is_told(asked, kept, told):
    heard = Heard()

    with progress.listening(heard):
        decide(evolve(asked, keep_float=kept, budget=0.4))

    assert any("--budget: without effect" in each for each in heard.said) is told


@pytest.mark.parametrize(
    ("wanted", "said"),
    [
        ("none", "no engine is built, as asked: the prepared ONNX is the result"),
        ("auto", "nothing here builds engines: the prepared ONNX is the result; no TensorRT"),
    ],
)
def test_where_nothing_builds_the_prepared_onnx_is_the_result_and_it_says_so(
    asked, little_yolo, monkeypatch, wanted, said
):
    heard = Heard()
    none = Toolchain(ToolchainKind.NONE, missing=() if wanted == "none" else ("no TensorRT",))
    monkeypatch.setattr(toolchain, "find", lambda _: none)

    with progress.listening(heard):
        found = decide(evolve(asked, toolchain=wanted))

    assert said in heard.said
    assert found.plan(read_spec(little_yolo), Path("model.plan"), Half()) is None


@pytest.mark.usefixtures("rtx")
def test_the_plan_is_that_of_the_toolchain_here(asked, little_yolo):
    found = decide(evolve(asked, compute_capabilities=("8.9",)))
    prepared = evolve(read_spec(little_yolo), quantized=True)

    plan = found.plan(prepared, Path("out/model.plan"), Half(anywhere=True, scales=True))

    assert found.casts
    assert "--compute-capabilities 8.9" in " ".join(plan.command.argv)
    assert plan.toolchain == RTX


def test_results_go_to_a_folder_named_for_model_and_precision(asked, tmp_path):
    assert decide(asked).folder == Path("runs/little-int8")
    assert decide(evolve(asked, precision=Precision.FP16)).folder == Path("runs/little-fp16")
    assert decide(evolve(asked, output=tmp_path / "mine")).folder == tmp_path / "mine"


def test_the_profile_decides_size_and_batch_of_the_calibration(asked, little_dynamic, tmp_path):
    (tmp_path / "batch.toml").write_text(
        '[[profile]]\n[profile."*"]\nmin = [1, 3, 64, 64]\nopt = [4, 3, 64, 64]\nmax = [8, 3, 64, 64]\n'
    )

    found = decide(evolve(asked, model=str(little_dynamic), profile=str(tmp_path / "batch.toml")))

    assert found.calibration.batch == 4
    assert found.calibration.batches == 5
    assert found.preprocessing.size == (64, 64)


@pytest.mark.parametrize(
    ("change", "kind", "words"),
    [
        ({"model": "none.onnx"}, ModelError, "no model file none.onnx"),
        ({"method": "average"}, InputError, "no calibration method 'average'"),
        ({"toolchain": "onnx"}, InputError, "no toolchain 'onnx'"),
        ({"images": Path("none")}, PictureError, "no such file or folder: none"),
        ({"labelled": Path("none")}, LabelError, "none"),
        ({"profile": "none.toml"}, InputError, "cannot read none.toml"),
        ({"profile": "wide"}, ProfileError, "wide"),
        ({"limits": Limits(min_speedup=2)}, InputError, "--min-speedup 2 does not say faster than what"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_what_cannot_be_used_is_refused(asked, change, kind, words):
    with pytest.raises(kind, match=words) as refused:
        decide(evolve(asked, **change))

    assert refused.value.fix


@pytest.mark.usefixtures("rtx")
@pytest.mark.parametrize(
    ("change", "kind"),
    [
        ({"program": "make"}, InputError),
        ({"program": "trtexec"}, ToolchainError),
        ({"compute_capabilities": ("9.0",)}, ToolchainError),
        ({"output": Path(__file__)}, InputError),
        ({"output": Path(__file__, "below")}, InputError),
        ({"route": Route.CALIBRATED}, ToolchainError),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_a_build_that_cannot_be_is_refused_before_pictures_are_looked_at(asked, monkeypatch, change, kind):
    monkeypatch.setattr("polyyolo.picture_sets.choose", lambda *_, **__: pytest.fail("pictures were chosen"))

    with pytest.raises(kind):
        decide(evolve(asked, **change))


def test_a_model_that_takes_more_than_a_picture_is_refused_with_what_it_takes(
    asked, little_yolo, tmp_path, monkeypatch
):
    monkeypatch.setattr("polyyolo.picture_sets.choose", lambda *_, **__: pytest.fail("pictures were chosen"))
    model = load(little_yolo)
    model.graph.input.append(onnx.helper.make_tensor_value_info("orig_shape", onnx.TensorProto.FLOAT, ["batch", 2]))
    onnx.save(model, tmp_path / "two.onnx")

    with pytest.raises(ModelError, match=r"takes more than a picture: orig_shape float32 \(batch, 2\)") as refused:
        decide(evolve(asked, model=str(tmp_path / "two.onnx")))

    assert "constant" in refused.value.fix


def test_a_folder_of_text_files_holds_no_pictures(asked, tmp_path):
    (tmp_path / "notes.txt").write_text("no picture")

    with pytest.raises(PictureError):
        decide(evolve(asked, images=tmp_path))


def test_too_few_pictures_for_one_batch_are_refused(asked, little_dynamic, tmp_path):
    (tmp_path / "batch.toml").write_text(
        '[[profile]]\n[profile."*"]\nmin = [1, 3, 64, 64]\nopt = [32, 3, 64, 64]\nmax = [32, 3, 64, 64]\n'
    )

    with pytest.raises(InputError, match="24 usable pictures cannot fill one batch of 32"):
        decide(evolve(asked, model=str(little_dynamic), profile=str(tmp_path / "batch.toml")))


@pytest.mark.parametrize("precision", [Precision.FP32, Precision.FP16])
def test_every_precision_is_compared_on_the_pictures_that_int8_keeps_out(little_yolo, little_pictures, precision):
    asked = Request(model=str(little_yolo), images=little_pictures, toolchain="none")

    in_int8, in_float = decide(asked), decide(evolve(asked, precision=precision))

    assert len(in_int8.held) == 4
    assert in_float.held == in_int8.held
    assert in_float.calibration is None


def test_what_is_about_scales_is_told_to_have_no_effect_where_there_are_none(asked):
    heard = Heard()
    with progress.listening(heard):
        decide(evolve(asked, precision=Precision.FP16, method="max", budget=0.2, shift=False))

    told = "--method, --budget, --no-shift: without effect, since --precision fp16 has no scales"
    assert any(told in line for line in heard.said)


@pytest.mark.parametrize("way", ["auto", "stem"])
def test_to_choose_what_stays_in_float_and_to_choose_nothing_is_refused(asked, way):
    with pytest.raises(InputError, match=f"--keep-float {way} and --keep-float none contradict"):
        decide(evolve(asked, keep_float=("none", way)))
