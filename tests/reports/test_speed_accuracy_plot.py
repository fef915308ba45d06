import re
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from attrs import evolve

from polyyolo.records import Precision, Route
from polyyolo.records.comparison import Compared, Comparison, Figures
from polyyolo.reports.speed_accuracy_plot import COLOURS, svg, title

SVG = "{http://www.w3.org/2000/svg}"


def row(name, precision, **figures):
    return Compared(name, precision, Route.QDQ, Path(name), Figures(**figures))


@pytest.fixture
def timed():
    return Comparison(
        folder=Path("compared"),
        model=Path("yolov5s$1.onnx"),
        sha256="a" * 64,
        gpu="NVIDIA H200",
        variants=(
            row("fp32", Precision.FP32, images_per_s=1554, map50_95=0.4493, engine_bytes=31_500_000, agreement_f1=1.0),
            row(
                *("int8-qdq", Precision.INT8),
                images_per_s=2190,
                map50_95=0.4433,
                drop_error=0.3,
                engine_bytes=10_000_000,
                agreement_f1=0.95,
            ),
            row("fp16", Precision.FP16, map50_95=0.4492),
        ),
    )


def words(drawn):
    return [each.text for each in ET.fromstring(drawn).iter(f"{SVG}text")]


def marks(drawn):
    """Where each mark is: colour -> (x, y) in the picture."""
    places = re.findall(r'<use xlink:href="#\S+" x="([\d.]+)" y="([\d.]+)" style="fill: (#\w+)', drawn)
    return {colour: (float(x), float(y)) for x, y, colour in places if colour in COLOURS.values()}


def test_faster_is_to_the_right_and_better_is_above(timed):
    drawn = svg(timed)

    fp32, int8 = marks(drawn)[COLOURS["fp32"]], marks(drawn)[COLOURS["int8"]]
    assert int8[0] > fp32[0]
    assert int8[1] > fp32[1], "y grows downwards in SVG: INT8 is below"
    assert {"fp32", "int8-qdq", "yolov5s$1: speed against accuracy", "images/s on NVIDIA H200"} <= set(words(drawn))
    assert "fp16" not in words(drawn), "it was not timed"


def test_without_a_speed_size_takes_its_place_and_the_plot_says_so(timed):
    untimed = evolve(
        timed, variants=tuple(evolve(each, figures=evolve(each.figures, images_per_s=None)) for each in timed.variants)
    )

    drawn = svg(untimed)

    assert title(untimed) == "yolov5s$1: size against accuracy (no speed was measured)"
    assert {title(untimed), "size of the engine, MB (smaller is to the right)"} <= set(words(drawn))
    assert marks(drawn)[COLOURS["int8"]][0] > marks(drawn)[COLOURS["fp32"]][0]


def test_without_labels_agreement_takes_the_place_of_map(timed):
    unlabelled = evolve(
        timed, variants=tuple(evolve(each, figures=evolve(each.figures, map50_95=None)) for each in timed.variants)
    )

    assert "agreement with FP32, F1 at IoU 0.9" in words(svg(unlabelled))


def test_the_same_figures_give_the_same_bytes(timed):
    assert svg(timed) == svg(timed)


def test_there_is_no_plot_of_nothing(timed):
    assert svg(evolve(timed, variants=())) == ""
