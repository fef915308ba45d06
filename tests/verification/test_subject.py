"""What is verified is told by the file, and what an engine does not tell by the run that built it."""

import shutil

import onnx
import pytest
from attrs import evolve

from polyyolo import files, progress
from polyyolo.engines.profiles import default
from polyyolo.errors import InputError, ModelError, PictureError
from polyyolo.files import sha256_of
from polyyolo.models.spec import read_spec
from polyyolo.records import (
    BuildPlan,
    Command,
    Engine,
    HeadKind,
    Precision,
    Preprocessing,
    Route,
    Run,
    Toolchain,
    ToolchainKind,
    Verdict,
)
from polyyolo.verification.subject import read_subject, tell_of_unused
from polyyolo.workspace import Ledger, StepEntry

PLAN = b"ftrt" + bytes(20) + bytes((10, 16, 0, 72)) + bytes(99)
STRETCHED = Preprocessing((64, 64), fit="stretch", pad=0, mean=(0.5, 0.5, 0.5))


@pytest.fixture
def folder(little_yolo, tmp_path):
    """A run's folder: an ONNX that was built into an engine with an unusual preprocessing."""
    path = shutil.copy(little_yolo, tmp_path / "model.int8.onnx")
    (tmp_path / "model.plan").write_bytes(PLAN)
    spec = read_spec(path)
    sha256 = sha256_of(tmp_path / "model.plan")
    profile = default(spec)
    plan = BuildPlan(
        spec,
        profile,
        Precision.INT8,
        Route.QDQ,
        Toolchain(ToolchainKind.TENSORRT),
        Command(()),
        tmp_path / "model.plan",
    )
    run = Run(
        folder=tmp_path,
        source=spec,
        licence="",
        built=spec,
        profile=profile,
        precision=Precision.INT8,
        route=Route.QDQ,
        preprocessing=STRETCHED,
        calibration=None,
        method="mse",
        plan=plan,
        engine=Engine(tmp_path / "model.plan", sha256, len(PLAN), 1.0, plan),
        fidelity=None,
        layers=(),
        sensitivities=(),
        verdict=Verdict(()),
        pictures=(),
        seconds={},
        reused=(),
    )
    files.write_json(tmp_path / "report.json", run)
    steps = {
        name: StepEntry("0" * 64, {name: sha256_of(tmp_path / name)}, None, 1.0)
        for name in ("model.int8.onnx", "model.plan")
    }
    files.write_json(tmp_path / "steps.json", Ledger(steps))
    return tmp_path


def test_an_onnx_tells_all_by_itself(little_yolo):
    subject = read_subject(str(little_yolo))

    assert (subject.is_engine, subject.run, subject.engine) == (False, None, None)
    assert subject.preprocessing() == Preprocessing((64, 64))
    assert subject.hashes == {subject.spec.sha256}


def test_an_engine_takes_head_names_and_preprocessing_from_its_run(folder):
    subject = read_subject(str(folder / "model.plan"))

    assert subject.is_engine
    assert subject.spec.path == folder / "model.plan"
    assert subject.spec.sha256 == sha256_of(folder / "model.plan")
    assert (subject.spec.head.kind, subject.spec.names) == (HeadKind.V8, ("dark", "bright"))
    assert subject.preprocessing() == STRETCHED


def test_an_onnx_of_a_run_is_given_pictures_as_its_engine_would_be(folder):
    subject = read_subject(str(folder / "model.int8.onnx"))

    assert not subject.is_engine
    assert subject.preprocessing() == STRETCHED
    assert subject.preprocessing(pad=7, fit=None) == evolve(STRETCHED, pad=7)
    assert subject.engine == folder / "model.plan"
    assert sha256_of(folder / "model.plan") in subject.hashes


@pytest.mark.parametrize("route", list(Route))
def test_the_model_before_quantization_has_not_the_speed_of_int8(folder, little_dynamic, route):
    shutil.copy(little_dynamic, folder / "model.onnx")
    run = files.read_json(folder / "report.json", Run)
    built = read_spec(folder / "model.onnx") if route is Route.CALIBRATED else run.built
    files.write_json(folder / "report.json", evolve(run, route=route, built=built))
    steps = files.read_json(folder / "steps.json", Ledger).steps
    made = StepEntry("0" * 64, {"model.onnx": sha256_of(folder / "model.onnx")}, None, 1.0)
    files.write_json(folder / "steps.json", Ledger({**steps, "prepare": made}))

    subject = read_subject(str(folder / "model.onnx"))

    assert subject.preprocessing() == STRETCHED
    assert (subject.engine, subject.hashes) == (None, {subject.spec.sha256})


def test_an_onnx_that_is_named_for_no_engine_is_told(folder, monkeypatch):
    engine, model = (read_subject(str(folder / name)) for name in ("model.plan", "model.int8.onnx"))
    told = []
    monkeypatch.setattr(progress, "note", told.append)

    for subjects in ((model,), (engine, model)):
        tell_of_unused("a.onnx", *subjects)
    tell_of_unused(None, model)

    assert told == ["--model a.onnx: without effect, since no engine was named"]


def test_beside_what_its_run_made_the_model_of_that_run_is_fed_alike(folder, little_yolo, little_dynamic):
    made = read_subject(str(folder / "model.plan"))

    assert read_subject(str(little_yolo)).preprocessing(beside=made) == STRETCHED
    assert read_subject(str(little_dynamic)).preprocessing((64, 64), beside=made) == Preprocessing((64, 64))


def test_an_engine_alone_needs_the_onnx_that_it_was_built_from(folder, little_yolo):
    (folder / "report.json").unlink()
    engine = str(folder / "model.plan")

    with pytest.raises(InputError, match="does not tell its head") as error:
        read_subject(engine)
    assert "--model" in error.value.fix
    for told in ({"onnx": str(little_yolo)}, {"otherwise": str(little_yolo)}):
        subject = read_subject(engine, **told)
        assert (subject.spec.path, subject.spec.head.kind) == (folder / "model.plan", HeadKind.V8)
        assert subject.preprocessing() == Preprocessing((64, 64))


def test_a_report_of_another_engine_does_not_count(folder):
    (folder / "model.plan").write_bytes(PLAN + b"built again")

    with pytest.raises(InputError, match="does not tell its head"):
        read_subject(str(folder / "model.plan"))


def test_a_report_that_cannot_be_read_is_left_aside_with_a_warning(folder):
    (folder / "report.json").write_text("{}")
    heard = []

    class Ear(progress.Silent):
        def warned(self, message, fix):
            heard.append((message, fix))

    with progress.listening(Ear()):
        subject = read_subject(str(folder / "model.int8.onnx"))

    assert subject.preprocessing() == Preprocessing((64, 64))
    assert [message.split(":")[0] for message, _ in heard] == [f"{folder / 'report.json'} is left aside"]


def test_open_axes_take_the_size_that_is_asked_for(little_yolo, tmp_path):
    model = onnx.load(little_yolo)
    for axis in (2, 3):
        model.graph.input[0].type.tensor_type.shape.dim[axis].dim_param = f"axis{axis}"
    onnx.save(model, tmp_path / "open.onnx")
    subject = read_subject(str(tmp_path / "open.onnx"))

    assert subject.preprocessing().size == (640, 640)
    assert subject.preprocessing((64, 96)).size == (64, 96)
    with pytest.raises(PictureError, match="no multiple of the model's stride 32"):
        subject.preprocessing((65, 64))


@pytest.mark.parametrize(("open_axes", "size"), [((2, 3), (384, 1280)), ((3,), (64, 1280)), ((), (64, 64))])
def test_an_engine_is_asked_for_its_size_where_its_onnx_leaves_that_open(
    little_yolo, tmp_path, monkeypatch, open_axes, size
):
    model = onnx.load(little_yolo)
    for axis in open_axes:
        model.graph.input[0].type.tensor_type.shape.dim[axis].dim_param = f"axis{axis}"
    onnx.save(model, tmp_path / "open.onnx")
    (tmp_path / "alone.plan").write_bytes(PLAN)
    monkeypatch.setattr("polyyolo.verification.subject.size_taken", lambda _, __, usual: (min(384, usual[0]), 1280))
    subject = read_subject(str(tmp_path / "alone.plan"), onnx=str(tmp_path / "open.onnx"))

    assert subject.preprocessing().size == size


def test_what_is_neither_is_told_so(tmp_path):
    (tmp_path / "noise").write_bytes(bytes(range(256)))

    with pytest.raises(ModelError, match=r"not an ONNX, or was cut off: .*; nor does it begin as engines do"):
        read_subject(str(tmp_path / "noise"))
