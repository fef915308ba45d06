"""One model in every precision, side by side: what is shared is done once, and what fails is a row."""

import json
import shutil
import sys
from collections import Counter

import pytest
from attrs import evolve

from polyyolo import comparing, files, pipeline, progress
from polyyolo.comparing import compare
from polyyolo.engines import toolchain
from polyyolo.errors import InputError, ModelError, ToolchainError, ToolFailed
from polyyolo.records import Outcome, Request, Toolchain, ToolchainKind
from polyyolo.records.comparison import Comparison

FILES = {"comparison.json", "comparison.md", "comparison.csv", "comparison.svg"}
RTX = "b'vtrt' + bytes(12) + (64).to_bytes(8, 'little') + bytes(40)"


class Heard(progress.Silent):
    def __init__(self):
        self.begun = Counter()
        self.warnings = []

    def started(self, step, total):  # noqa: ARG002 - the listener's signature
        self.begun[step] += 1

    def warned(self, message, fix):  # noqa: ARG002 - the listener's signature
        self.warnings.append(message)


@pytest.fixture
def asked(little_yolo, little_pictures, tmp_path):
    """A comparison of the little YOLO; few pictures and nothing spared keep it short."""
    return Request(
        model=str(little_yolo),
        images=little_pictures,
        count=4,
        keep_float=("stem",),
        output=tmp_path / "compared",
    )


@pytest.fixture
def tensorrt(fake_trtexec, monkeypatch):
    """TensorRT 8.6 with a program that plays its trtexec."""

    def install(fail=None):
        found = Toolchain(ToolchainKind.TENSORRT, tensorrt="8.6.0", trtexec=fake_trtexec("8.6.0", fail))
        monkeypatch.setattr(toolchain, "find", lambda _: found)

    return install


@pytest.fixture
def rtx(monkeypatch, tmp_path):
    """TensorRT for RTX, driven by a script that plays Polygraphy; ``refuses`` is a word in a model's path."""

    def install(refuses="nothing at all"):
        script = tmp_path / "polygraphy"
        script.write_text(
            f"#!{sys.executable}\nimport pathlib, sys\n"
            f"if any({refuses!r} in word for word in sys.argv):\n    raise SystemExit('no kernel for this node')\n"
            f"pathlib.Path(sys.argv[sys.argv.index('-o') + 1]).write_bytes({RTX})\n"
        )
        script.chmod(0o755)
        found = Toolchain(ToolchainKind.RTX, tensorrt="1.7.1", polygraphy="0.53.6", polygraphy_path=script)
        monkeypatch.setattr(toolchain, "find", lambda _: found)

    return install


def rows(found):
    return {row.name: row for row in found.variants}


def test_all_four_are_built_and_compared_and_what_they_share_is_done_once(asked, tensorrt, little_labelled):
    tensorrt()
    heard = Heard()

    with progress.listening(heard):
        found = compare(evolve(asked, labelled=little_labelled))

    assert [row.name for row in found.variants] == ["fp32", "fp16", "int8-qdq", "int8-calibrated"]
    assert (heard.begun["simplify"], heard.begun["calibrate"], heard.begun["build"]) == (1, 1, 4)
    assert [row.error for row in found.variants] == [""] * 4
    assert len(set(heard.warnings)) == len(heard.warnings)
    assert {path.name for path in asked.output.iterdir()} == {".lock", *FILES, *rows(found)}
    assert files.read_json(asked.output / "comparison.json", Comparison) == found
    qdq, calibrated = rows(found)["int8-qdq"].figures, rows(found)["int8-calibrated"].figures
    assert 0.9 < qdq.agreement_f1 != calibrated.agreement_f1 > 0.9, "with the head in INT8"
    assert rows(found)["fp32"].figures.agreement_f1 == 1
    assert (found.toolchain, found.pictures) == ("TensorRT 8.6.0", 8)


def test_the_shared_calibration_gives_the_model_that_one_run_by_itself_gives(asked, tensorrt, tmp_path):
    """The cache needs ranges of more tensors; those of the others must not change by it."""
    tensorrt()
    compare(asked, ["int8-qdq", "int8-calibrated"])

    alone = pipeline.engine(evolve(asked, output=tmp_path / "alone"))

    assert alone.built.sha256 == files.sha256_of(asked.output / "int8-qdq" / "model.int8.onnx")


def test_the_same_again_does_nothing_again_and_gives_the_same(asked, rtx, monkeypatch):
    rtx()
    first = compare(asked)
    before = {path: path.read_bytes() for path in asked.output.glob("comparison.*")}
    monkeypatch.setattr("polyyolo.stages.build", lambda *_: pytest.fail("it was built again"))
    monkeypatch.setattr("polyyolo.quantizing.measure_ranges", lambda *_, **__: pytest.fail("it was calibrated again"))

    again = compare(asked)

    assert again == first
    assert {path: path.read_bytes() for path in asked.output.glob("comparison.*")} == before


def test_a_route_that_is_refused_is_a_row_with_its_reason(asked, rtx):
    rtx()

    found = compare(asked)

    calibrated = rows(found)["int8-calibrated"]
    assert calibrated.error == "TensorRT for RTX 1.7.1 has no INT8 calibrator"
    assert (calibrated.exit_code, calibrated.outcome) == (3, None)
    assert [row.outcome for row in found.variants[:3]] == [Outcome.UNPROVEN] * 3
    assert rows(found)["fp16"].figures.engine_bytes == 64
    assert rows(found)["fp16"].unproven["latency_ms"].startswith("the engine was not run on a GPU: ")
    assert not (asked.output / "int8-calibrated").exists()


def test_a_build_that_fails_is_a_row_and_the_others_are_there(asked, rtx):
    rtx(refuses="fp16/.partial")

    found = compare(asked, ["fp32", "fp16"])

    assert "polygraphy" in rows(found)["fp16"].error
    assert rows(found)["fp16"].exit_code == ToolFailed.exit_code
    assert rows(found)["fp32"].figures.engine_bytes == 64


def test_where_not_one_can_be_had_the_first_error_is_told(asked, tensorrt):
    tensorrt(fail="no-gpu")

    with pytest.raises(ToolFailed, match="trtexec"):
        compare(asked, ["fp32", "fp16"])
    with pytest.raises(InputError, match="gone"):
        compare(evolve(asked, images=asked.output / "gone"))


def test_without_a_toolchain_accuracy_is_compared_and_the_rest_is_unproven(asked):
    found = compare(evolve(asked, toolchain="none"))

    assert [row.figures.engine_bytes for row in found.variants] == [None] * 4
    assert {row.unproven["build_seconds"] for row in found.variants} == {"none was built here"}
    assert all(row.figures.agreement_f1 > 0.8 for row in found.variants)
    assert (found.toolchain, list(asked.output.glob("*.svg"))) == ("", [])


def test_a_toolchain_that_is_asked_for_and_not_here_is_an_error(asked, monkeypatch):
    monkeypatch.setenv("PATH", "")

    with pytest.raises(ToolchainError, match="no NVIDIA GPU"):
        compare(evolve(asked, toolchain="tensorrt"))


def test_all_are_compared_on_the_same_pictures(asked, rtx):
    rtx()
    compare(asked, ["fp32", "int8-qdq"])

    told = [json.loads((asked.output / name / "report.json").read_text()) for name in ("fp32", "int8-qdq")]
    boxes = [each["fidelity"]["agreements"][0]["reference_boxes"] for each in told]
    assert [each["fidelity"]["pictures"] for each in told] == [4, 4]
    assert boxes[0] == boxes[1] > 0


def test_ctrl_c_in_the_middle_leaves_what_was_there_and_what_is_done(asked, rtx, monkeypatch):
    rtx()
    compare(asked, ["fp32"])
    before = (asked.output / "comparison.json").read_bytes()
    engine = pipeline.engine

    def interrupted(request, lenders):
        if request.output.name == "int8-qdq":
            raise KeyboardInterrupt
        return engine(request, lenders)

    monkeypatch.setattr(comparing.pipeline, "engine", interrupted)
    with pytest.raises(KeyboardInterrupt):
        compare(asked)

    assert (asked.output / "comparison.json").read_bytes() == before
    assert (asked.output / "fp16" / "model.plan").stat().st_size == 64
    monkeypatch.setattr(comparing.pipeline, "engine", engine)
    heard = Heard()
    with progress.listening(heard):
        compare(asked)
    assert heard.begun["build"] == 1


def test_a_comparison_that_was_stopped_before_any_result_is_gone_on_with(asked, rtx, monkeypatch):
    rtx()

    def interrupted(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(comparing.pipeline, "engine", interrupted)
        with pytest.raises(KeyboardInterrupt):
            compare(asked)

    assert rows(compare(asked, ["fp32"]))["fp32"].figures.engine_bytes == 64


def test_a_quantized_model_has_nothing_to_be_compared_with(asked, rtx, tmp_path):
    rtx()
    compare(asked, ["int8-qdq"])
    model = shutil.copy(asked.output / "int8-qdq" / "model.int8.onnx", tmp_path)

    with pytest.raises(ModelError, match="already holds Q/DQ nodes: there is no FP32 model"):
        compare(evolve(asked, model=model, output=tmp_path / "other"))
    assert not (tmp_path / "other").exists()


@pytest.mark.parametrize(("names", "told"), [(["fp32", "int4"], "there is no variant 'int4'"), ([], "no variant")])
def test_a_variant_that_nobody_knows_is_refused_before_any_work(asked, names, told):
    with pytest.raises(InputError, match=told):
        compare(asked, names)
    assert not asked.output.exists()


def test_a_folder_of_another_model_is_left_alone(asked, rtx, little_dynamic):
    rtx()
    compare(asked, ["fp32"])

    with pytest.raises(InputError, match=r"compares another model, little\.onnx"):
        compare(evolve(asked, model=str(little_dynamic)), ["fp32"])


def test_a_damaged_record_does_not_lock_its_folder(asked, rtx):
    rtx()
    compare(asked, ["fp32"])
    (asked.output / "comparison.json").write_text("{")

    found = compare(asked, ["fp32"])

    assert files.read_json(asked.output / "comparison.json", Comparison) == found


def test_a_folder_of_other_things_is_left_alone(asked):
    asked.output.mkdir()
    (asked.output / "thesis.tex").write_text("years of work")

    with pytest.raises(InputError, match=r"holds other things than a comparison, as thesis.tex"):
        compare(asked)
    assert [path.name for path in asked.output.iterdir()] == ["thesis.tex"]


def test_a_full_disk_is_one_error_and_nothing_is_half_written(asked, rtx, monkeypatch):
    rtx()

    def full(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("pathlib.Path.touch", full)

    with pytest.raises(ToolchainError, match="no space is left"):
        compare(asked, ["fp32"])
    assert {path.name for path in asked.output.rglob("*") if path.is_file()} == {".lock"}
