import csv
from pathlib import Path

import pytest
from attrs import evolve

from polyyolo import files, progress
from polyyolo.records import Outcome, Precision, Route
from polyyolo.records.comparison import Compared, Comparison, Figures
from polyyolo.reports.comparison import as_csv, as_markdown, as_text, write

ACCURACY = "mAP50-95, drop (points lost) and agreement (F1 of boxes at IoU 0.9)"
NOT_RUN = dict.fromkeys(("latency_ms", "images_per_s", "speed_up"), "the engine was not run on a GPU")
FP32 = Figures(31_500_000, 148.04, 0.6435, 1554.1, 1.0, 0.4493, 0.0, 0.0, 1.0)
INT8 = Figures(10_000_000, 321.3, 0.4566, 2190.2, 1.4093, 0.4433, 0.6, 0.31, 0.9514)


@pytest.fixture
def compared(tmp_path):
    """FP32 and INT8 measured on a GPU, and a route that was refused."""
    return Comparison(
        folder=tmp_path,
        model=Path("models/yolov5s.onnx"),
        sha256="a" * 64,
        toolchain="TensorRT 8.6.0",
        gpu="NVIDIA H200",
        measured_by="trtexec 8.6.0",
        pictures=128,
        variants=(
            Compared("fp32", Precision.FP32, Route.QDQ, tmp_path / "fp32", FP32, Outcome.PASS),
            Compared("int8-qdq", Precision.INT8, Route.QDQ, tmp_path / "int8-qdq", INT8, Outcome.PASS),
            Compared(
                *("int8-calibrated", Precision.INT8, Route.CALIBRATED, tmp_path / "int8-calibrated"),
                error="TensorRT 11 has no INT8 calibrator",
                fix="use --route qdq",
                exit_code=3,
            ),
        ),
    )


@pytest.fixture
def without_gpu(compared):
    """The same where nothing was timed."""
    rows = [
        evolve(row, unproven=NOT_RUN, figures=evolve(row.figures, latency_ms=None, images_per_s=None, speed_up=None))
        for row in compared.variants[:2]
    ]
    return evolve(compared, gpu="", measured_by="", variants=(*rows, compared.variants[2]))


def test_the_table_is_laid_out_in_columns_with_its_conditions_below(compared):
    assert as_text(compared).splitlines() == [
        "variant                MB   build s  latency ms  images/s  speed-up  mAP50-95      drop  agreement",
        "fp32                 31.5     148.0       0.643      1554     1.00x    0.4493     +0.00      1.000",
        "int8-qdq             10.0     321.3       0.457      2190     1.41x    0.4433     +0.60      0.951",
        "int8-calibrated  UNPROVEN  UNPROVEN    UNPROVEN  UNPROVEN  UNPROVEN  UNPROVEN  UNPROVEN   UNPROVEN",
        "",
        "built with TensorRT 8.6.0",
        "speed on NVIDIA H200, by trtexec 8.6.0: the GPU's work alone, median; speed-up against fp32",
        f"{ACCURACY} against the model as it was given: in ONNX Runtime, on 128 pictures",
        "UNPROVEN: int8-calibrated: TensorRT 11 has no INT8 calibrator; use --route qdq",
    ]


def test_a_reason_that_all_share_is_told_once(without_gpu):
    lines = as_text(without_gpu).splitlines()

    assert "UNPROVEN: latency ms, images/s, speed-up: the engine was not run on a GPU" in lines
    assert sum("not run on a GPU" in line for line in lines) == 1


def test_a_reason_of_some_names_them(without_gpu):
    first, *others = without_gpu.variants
    odd = evolve(first, figures=evolve(first.figures, map50_95=None), unproven={"map50_95": "no labels"})

    lines = as_text(evolve(without_gpu, variants=(odd, *others))).splitlines()

    assert "UNPROVEN: mAP50-95 of fp32: no labels" in lines
    assert "UNPROVEN: latency ms, images/s, speed-up of int8-qdq: the engine was not run on a GPU" in lines


def test_markdown_has_the_same_cells_and_the_plot(compared):
    page = as_markdown(compared, plot="comparison.svg")

    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in page.splitlines() if line[:1] == "|"]
    assert rows[2] == ["fp32", "31.5", "148.0", "0.643", "1554", "1.00x", "0.4493", "+0.00", "1.000"]
    assert {len(row) for row in rows} == {9}
    assert "![yolov5s: speed against accuracy](comparison.svg)" in page


def test_csv_has_every_figure_unrounded_and_nothing_where_it_was_not_measured(compared):
    rows = list(csv.DictReader(as_csv(compared).splitlines()))

    assert [(row["variant"], row["precision"], row["images_per_s"]) for row in rows] == [
        ("fp32", "fp32", "1554.1"),
        ("int8-qdq", "int8", "2190.2"),
        ("int8-calibrated", "int8", ""),
    ]
    assert rows[1]["drop_error"] == "0.31"
    assert rows[2]["error"] == "TensorRT 11 has no INT8 calibrator"


def test_all_forms_are_written_and_the_record_reads_back(compared, tmp_path):
    write(compared)

    names = {path.name for path in tmp_path.iterdir()}
    assert names == {"comparison.json", "comparison.md", "comparison.csv", "comparison.svg"}
    assert files.read_json(tmp_path / "comparison.json", Comparison) == compared


def test_a_plot_that_cannot_be_drawn_is_none_and_an_older_one_goes(compared, tmp_path):
    write(compared)
    nothing = tuple(evolve(row, figures=Figures()) for row in compared.variants)

    with progress.recording():
        write(evolve(compared, variants=nothing))

    assert {path.name for path in tmp_path.iterdir()} == {"comparison.json", "comparison.md", "comparison.csv"}
    assert "svg" not in (tmp_path / "comparison.md").read_text()
