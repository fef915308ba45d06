"""The plot of what INT8 costs: every tensor is on it, what stays in float is told apart, names stay text."""

import re
from xml.etree import ElementTree as ET

import pytest
from attrs import evolve

from polyyolo.records import Sensitivity
from polyyolo.reports.sensitivity_plot import INLINE, KEPT, QUANTIZED, inlined, svg

SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture
def measured(run):
    """Three tensors, of which the stem's stays in float; the last one costs nothing."""
    costs = (
        Sensitivity("images", ("stem",), 0.03, 10),
        Sensitivity("/model.1/act/Mul_output_0", ("body",), 0.01, 88),
        Sensitivity("free", ("other",), 0.0, 5),
    )
    return evolve(run, sensitivities=costs, in_float={"stem": "most noise for its time"})


def marks(text, colour):
    """How many marks of a colour a drawing has; one more is in the legend."""
    return sum(colour in (each.get("style") or "") for each in ET.fromstring(text).iter(f"{SVG}use"))


def test_each_tensor_with_noise_is_a_mark_and_what_stays_in_float_has_its_own(measured):
    text = svg(measured)

    assert marks(text, KEPT) == 1 + 1
    assert marks(text, QUANTIZED) == 1 + 1
    assert marks(svg(evolve(measured, in_float={})), QUANTIZED) == 2 + 1


def test_the_most_costly_are_named_without_what_exporters_add(measured):
    words = [each.text for each in ET.fromstring(svg(measured)).iter(f"{SVG}text")]

    assert "images" in words
    assert "model.1/act/Mul" in words
    assert "share of the noise, %" in words


def test_no_name_covers_another(measured):
    """Tensors of the same noise and work had their names on top of each other."""
    close = tuple(Sensitivity(f"{number}/Concat", ("body",), 0.01, 88) for number in range(6))
    texts = ET.fromstring(svg(evolve(measured, sensitivities=close))).iter(f"{SVG}text")
    named = {each.text: each for each in texts if (each.text or "").endswith("/Concat")}
    lines = [("text-anchor: end" in each.get("style"), round(float(each.get("y")) / 8)) for each in named.values()]

    assert len(set(lines)) == len(named) == 4, "one to each side of the marks, above and below them"
    assert "0/Concat" in named, "the costliest has its name"


def test_the_same_run_gives_the_same_bytes(measured):
    assert svg(measured) == svg(measured)


@pytest.mark.parametrize("name", ["<script>alert(1)</script>", "$\\frac{1}{$", "a" * 500, "\u4e2d\u6587", "_hidden"])
def test_any_name_stays_text(measured, name):
    run = evolve(measured, sensitivities=tuple(evolve(each, tensor=name) for each in measured.sensitivities))

    root = ET.fromstring(svg(run))

    assert [each.tag for each in root.iter() if "script" in each.tag] == []
    assert max(len(each.text or "") for each in root.iter(f"{SVG}text")) < 40


def test_nothing_to_draw_is_drawn_as_nothing(measured):
    free = tuple(evolve(each, noise=0.0) for each in measured.sensitivities)

    assert marks(svg(evolve(measured, sensitivities=free)), QUANTIZED) == 1


def test_in_a_page_it_takes_the_pages_colours_and_touches_nothing_else(measured):
    text = inlined(measured)

    assert text.startswith('<svg role="img" aria-label="')
    assert not re.search("|".join(INLINE), text)
    assert "<style" not in text
    assert "currentColor" in text
