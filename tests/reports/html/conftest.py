"""A run with everything that a page can show, and a real browser to look at it."""

import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest
from attrs import evolve

from polyyolo.progress import Warned
from polyyolo.records import Accuracy, Benchmark, EngineLayer, Latency, Request, Sensitivity, Shown
from polyyolo.reports.html.page import render
from polyyolo.verification.pictures import BAR, GAP

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "chrome")
ARGUMENTS = ("--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update")


def pair(left, right, size=(160, 240)):
    """A side-by-side picture as the comparison draws it: two halves of one colour each, in BGR."""
    height, width = size
    bar = np.full((BAR, 2 * width + GAP, 3), 32, np.uint8)
    halves = [np.full((height, width, 3), colour, np.uint8) for colour in (left, right)]
    gap = np.full((height, GAP, 3), 255, np.uint8)
    return np.vstack([bar, np.hstack([halves[0], gap, halves[1]])])


@pytest.fixture
def folder(tmp_path):
    """A run's folder with two pairs and a contact sheet."""
    folder = tmp_path / "run"
    (folder / "pictures").mkdir(parents=True)
    for place, colours in enumerate((((0, 0, 200), (200, 0, 0)), ((0, 200, 0), (90, 90, 90))), 1):
        cv2.imwrite(str(folder / "pictures" / f"{place:02}-street.jpg"), pair(*colours))
    cv2.imwrite(str(folder / "calibration.png"), np.full((300, 800, 3), 180, np.uint8))
    return folder


@pytest.fixture
def full(run, folder):
    """Every section has something to show."""
    latency = Latency(1000, 0.40, 0.44, 0.43, 0.46, 0.48, 0.60, 1.20)
    per_class = {"person": 0.5, "dog": 0.9, **{f"class {place}": 0.3 for place in range(20)}}
    lesser = {**per_class, "dog": 0.45, "person": 0.51}
    sizes = {"small": 0.2, "medium": 0.4, "large": 0.6}
    fidelity = evolve(
        run.fidelity,
        reference=Accuracy(0.4493, 0.6393, 128, per_class, sizes),
        candidate=Accuracy(0.4443, 0.6381, 128, lesser, sizes),
        shown=(
            Shown("pictures/01-street.jpg", "street.jpg", 19, 13, 12, 1.8),
            Shown("pictures/02-street.jpg", "other.jpg", 3, 3, 3, 0.0),
        ),
    )
    return evolve(
        run,
        folder=folder,
        fidelity=fidelity,
        pictures=("calibration.png", "pictures/01-street.jpg", "pictures/02-street.jpg"),
        request=Request("yolov5s.onnx", images=Path("my pictures"), output=folder),
        warnings=(Warned("only 20 pictures to calibrate with", "give 128 or more"),),
        benchmarks=(
            Benchmark(
                *(Path("model.plan"), "e" * 64, {"images": (1, 3, 640, 640)}, 1, 2329.0, latency, None, "L4"),
                *("trtexec 8.6.0", ("trtexec", "--loadEngine=model.plan"), {"warm-up": "500 ms"}, {"power": 72.5}),
                ("the clock was not locked",),
            ),
        ),
        engine_layers=(
            EngineLayer("conv1 + act", "CaskConvolution", "INT8", time_ms=0.3, share=0.75),
            EngineLayer("Reformat", "Reformat", "FP16", time_ms=0.1, share=0.25),
        ),
        sensitivities=(
            Sensitivity("images", ("stem",), 0.03, 10),
            Sensitivity("/model.1/act/Mul_output_0", ("body",), 0.01, 88),
        ),
        in_float={"stem": "most noise for its time"},
    )


@pytest.fixture(scope="session")
def chromium():
    """A headless Chromium; the tests are skipped where there is none."""
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    path = next(filter(None, map(shutil.which, BROWSERS)), None)
    if path is None:
        pytest.skip("no Chromium here: apt-get install chromium")
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=path, args=list(ARGUMENTS))
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def usual():
    """The page of the usual run, written once: it takes half a second."""
    return {}


@pytest.fixture
def opened(chromium, full, folder, usual):
    """Open the page of a run, from its file; gives the page, and what it complained of or asked for."""
    contexts = []

    def open_page(run=full, manifest=None, **settings):
        if run is full:
            text = usual.get("page") or usual.setdefault("page", render(full, folder, {}))
        else:
            text = render(run, folder, manifest or {})
        (folder / "report.html").write_text(text, "utf-8")
        context = chromium.new_context(**{"viewport": {"width": 1280, "height": 800}, **settings})
        contexts.append(context)
        page = context.new_page()
        noise, asked = [], []
        page.on("console", lambda message: noise.append(message.text))
        page.on("pageerror", lambda error: noise.append(str(error)))
        page.on("dialog", lambda dialog: (noise.append(f"dialog {dialog.message}"), dialog.dismiss()))
        page.on("request", lambda request: asked.append(request.url))
        page.goto((folder / "report.html").as_uri())
        page.noise, page.asked = noise, [url for url in asked if not url.startswith("data:")]
        return page

    yield open_page
    for context in contexts:
        context.close()
