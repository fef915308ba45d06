"""The plot has a bar for each layer that takes time, in the colour of its precision."""

import re
import xml.etree.ElementTree as ET

from attrs import evolve

from polyyolo.engine_layers.findings import Findings
from polyyolo.records.layers import EngineLayer
from polyyolo.reports import figure
from polyyolo.reports.layers_plot import svg

INT8, FP16 = ("INT8 NC/32HW32",), ("FP16 NHWC",)
LAYERS = (
    EngineLayer("stem", "CaskConvolution", "FP16", FP16, FP16, time_ms=0.010),
    EngineLayer("body", "CaskConvolution", "INT8", INT8, INT8, time_ms=0.004),
    EngineLayer("more", "CaskConvolution", "INT8", INT8, INT8, time_ms=0.003),
    EngineLayer("copy", "Reformat", "INT8", INT8, INT8, time_ms=0.002, move="type or layout"),
    EngineLayer("anchors", "Constant", "FP32", time_ms=0.001),
    EngineLayer("alias", "NoOp", "INT8", time_ms=0.0),
)
FOUND = Findings(LAYERS, time_ms=0.020, coverage=0.41, weighted=3, weighted_int8=2, moves=(), islands=())


def words(text):
    return [element.text for element in ET.fromstring(text).iter("{http://www.w3.org/2000/svg}text")]


def bars(text, colour):
    """Count what is filled with a colour, but for the legend's."""
    return len(re.findall(rf'clip-path="url\(#\w+\)" style="fill: {colour}', text))


def test_bars_are_layers_and_the_legend_has_their_sums():
    text = svg(FOUND, "yolov8n")

    assert (bars(text, figure.FP16), bars(text, figure.INT8)) == (1, 2)
    assert {"FP16: 10 us", "INT8: 7 us", "moves: 2 us", "time in us"} <= set(words(text))
    assert "yolov8n: 41% of what computes is in INT8" in words(text)


def test_without_a_profile_layers_are_counted():
    untimed = tuple(evolve(layer, time_ms=None) for layer in LAYERS)

    assert {"FP16: 1 layers", "INT8: 2 layers", "moves: 1 layers", "one layer"} <= set(
        words(svg(evolve(FOUND, layers=untimed, time_ms=None), "yolov8n"))
    )


def test_the_same_layers_give_the_same_bytes_and_names_stay_text():
    assert svg(FOUND, "a$b<c>") == svg(FOUND, "a$b<c>")
    assert "a$b<c>: 41% of what computes is in INT8" in words(svg(FOUND, "a$b<c>"))
