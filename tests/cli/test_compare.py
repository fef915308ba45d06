import csv
import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from polyyolo import comparing
from polyyolo.cli import main
from polyyolo.records import Outcome, Precision, Route
from polyyolo.records.comparison import Compared, Comparison


@pytest.fixture
def polyyolo():
    def run(*words):
        return CliRunner().invoke(main, [str(word) for word in words])

    return run


@pytest.fixture
def found(monkeypatch):
    """Let a comparison come to these rows: outcome or exit code of each."""

    def install(*outcomes):
        rows = [
            Compared(f"row {each}", Precision.FP32, Route.QDQ, Path(), exit_code=each, error="it failed")
            if isinstance(each, int)
            else Compared(f"row {each}", Precision.FP32, Route.QDQ, Path(), outcome=each)
            for each in outcomes
        ]
        comparison = Comparison(Path("compared"), Path("yolo.onnx"), "a" * 64, variants=tuple(rows))
        monkeypatch.setattr(comparing, "compare", lambda *_: comparison)

    return install


def test_one_command_leaves_the_table_in_every_form(polyyolo, little_yolo, little_pictures, tmp_path):
    done = polyyolo(
        *("compare", little_yolo, "--images", little_pictures, "--toolchain", "none"),
        *("--variants", "fp32, fp16", "-o", tmp_path / "compared", "--quiet"),
    )

    lines = done.stdout.splitlines()
    assert done.exit_code == 0
    assert [line.split()[0] for line in lines[:3]] == ["variant", "fp32", "fp16"]
    assert "UNPROVEN: MB, build s: none was built here" in lines
    assert lines[-1] == f"report: {tmp_path / 'compared' / 'comparison.md'}"
    rows = list(csv.DictReader((tmp_path / "compared" / "comparison.csv").read_text().splitlines()))
    assert 0.98 < float(rows[0]["agreement_f1"]) <= 1
    assert 0.9 < float(rows[1]["agreement_f1"]) <= 1


def test_what_keeps_every_variant_from_being_built_is_one_error(polyyolo, little_yolo, tmp_path):
    done = polyyolo("compare", little_yolo, "--images", tmp_path / "typo", "-o", tmp_path / "compared")

    assert done.exit_code == 2
    assert done.stderr.count(f"no such file or folder: {tmp_path / 'typo'}") == 1


def test_json_is_the_record_with_the_warnings(polyyolo, little_yolo, little_pictures, tmp_path):
    done = polyyolo(
        *("compare", little_yolo, "--images", little_pictures, "--toolchain", "none", "--json"),
        *("--variants", "fp32,int8-qdq", "-o", tmp_path / "compared"),
    )

    told = json.loads(done.stdout)
    assert [row["name"] for row in told["variants"]] == ["fp32", "int8-qdq"]
    assert told["variants"][0]["figures"]["speed_up"] is None
    assert [each["message"] for each in told["warnings"]] == ["only 20 pictures to calibrate with"]


@pytest.mark.parametrize(
    ("outcomes", "code"),
    [
        ((Outcome.PASS, Outcome.UNPROVEN), 0),
        ((Outcome.PASS, 3), 0),
        ((Outcome.PASS, Outcome.FAIL, 3), 1),
        ((Outcome.PASS, 2), 2),
        ((Outcome.FAIL, 4), 4),
    ],
)
def test_what_cannot_be_built_here_is_unproven_and_a_failure_is_one(polyyolo, found, outcomes, code):
    found(*outcomes)

    assert polyyolo("compare", "yolo.onnx", "--quiet").exit_code == code


def test_an_unknown_variant_is_a_mistake_of_the_user(polyyolo, little_yolo):
    done = polyyolo("compare", little_yolo, "--variants", "fp32,int4")

    assert done.exit_code == 2
    assert "error: there is no variant 'int4'" in done.stderr
    assert "fix: choose among fp32, fp16, int8-qdq, int8-calibrated" in done.stderr


def test_every_variant_gets_the_preprocessing_and_int8_what_is_about_scales(
    polyyolo, little_yolo, little_pictures, tmp_path
):
    done = polyyolo(
        *("compare", little_yolo, "--images", little_pictures, "--toolchain", "none", "--variants", "fp16,int8-qdq"),
        *("--colour", "bgr", "--method", "max", "--count", 8, "--keep-float", "none", "-o", tmp_path / "compared"),
    )

    assert done.exit_code == 0, done.output
    assert "without effect" not in done.stderr
    told = {
        name: json.loads((tmp_path / "compared" / name / "report.json").read_text()) for name in ("fp16", "int8-qdq")
    }
    assert {each["preprocessing"]["colour"] for each in told.values()} == {"bgr"}
    assert told["int8-qdq"]["method"] == "max"
    assert len(told["int8-qdq"]["calibration"]["sources"]) == 8
    assert set(told["int8-qdq"]["in_float"].values()) <= {"head output", "behind the head"}
