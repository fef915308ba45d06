"""The page as text: one file, closed to everything outside of it, small and quick."""

import base64
import hashlib
import re
import time

import cv2
import numpy as np
import pytest
from attrs import evolve

from polyyolo.pipeline import engine
from polyyolo.records import Agreement, Limits, Request
from polyyolo.reports.html.page import LISTED_PICTURES, render
from polyyolo.reports.reading import read_manifest, read_run
from polyyolo.reports.verdict import judge

LOADING = re.compile(r"""(?:src|href|action|data|poster|srcset|xlink:href)\s*=\s*["']([^"']*)""")
STYLE_LOADING = re.compile(r"url\(([^)]*)\)|@import")


def test_nothing_in_the_page_points_outside(full, folder):
    text = render(full, folder, {})

    places = LOADING.findall(text)
    assert len(places) > 10
    assert [each for each in places if not each.startswith(("data:", "#"))] == []
    assert all(found.startswith("#") for found in STYLE_LOADING.findall(text))


def test_the_policy_lets_only_the_pages_own_script_run(full, folder):
    text = render(full, folder, {})

    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', text)[1]
    script = re.search(r"<script>(.*?)</script>", text, re.DOTALL)[1]
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert f"script-src 'sha256-{digest}'" in policy
    assert policy.startswith("default-src 'none'")


def test_the_same_run_gives_the_same_bytes(full, folder):
    assert render(full, folder, {}) == render(full, folder, {})


def test_a_run_of_which_nothing_was_measured_has_a_page_too(full, folder):
    bare = evolve(
        full,
        fidelity=None,
        calibration=None,
        plan=None,
        engine=None,
        layers=(),
        sensitivities=(),
        pictures=(),
        benchmarks=(),
        engine_layers=(),
        request=None,
        warnings=(),
        in_float={},
    )

    text = render(bare, folder, {})

    assert text.count("<strong>UNPROVEN</strong>") == 3
    assert "There are no pictures with boxes to show." in text
    assert 'href="#warnings"' not in text


def test_a_share_of_two_boxes_is_no_figure_to_decide_by(full, folder):
    fidelity = evolve(full.fidelity, agreements=(Agreement(0.25, 0.9, 2, 2, 2),))
    few = evolve(full, fidelity=fidelity, verdict=judge(full.engine, fidelity, Limits()))

    text = render(few, folder, {})

    assert "<strong>too few boxes</strong> <span>UNPROVEN: 100.0% of 2</span>" in text
    assert "<strong>100.0%</strong>" not in text


def test_a_lost_picture_is_a_warning_and_not_the_end(full, folder):
    (folder / "pictures" / "01-street.jpg").unlink()
    (folder / "calibration.png").write_bytes(b"no picture")

    text = render(full, folder, {})

    assert text.count('class="slider"') == 1
    assert "Not to be read any more: calibration.png, pictures/01-street.jpg" in text
    assert "What calibration saw" not in text


def test_pictures_outside_of_the_folder_are_not_taken_into_the_page(full, folder):
    """A record is a file that anyone may have edited."""
    cv2.imwrite(str(folder.parent / "private.png"), np.full((100, 208, 3), 9, np.uint8))

    text = render(evolve(full, pictures=("../private.png",)), folder, {})

    assert "data:image" not in text
    assert "Not to be read any more: ../private.png" in text


def test_a_long_list_of_pictures_stays_in_manifest_json(full, folder):
    long = {"pictures": {"used": [{"path": f"{number}.jpg"} for number in range(LISTED_PICTURES + 1)]}}

    assert f"{LISTED_PICTURES + 1} pictures: see manifest.json" in render(full, folder, long)
    assert "7.jpg" not in render(full, folder, long)


def test_a_page_full_of_large_pictures_stays_below_five_megabytes(full, folder):
    """Noise is what JPEG can do least about: each picture is several times as large as a photograph."""
    generator = np.random.default_rng(0)
    names = [f"pictures/{number:02}-noise.jpg" for number in range(8)]
    for name in names:
        cv2.imwrite(str(folder / name), generator.integers(0, 256, (756, 1448, 3), np.uint8))
    cv2.imwrite(str(folder / "calibration.png"), generator.integers(0, 256, (1300, 1632, 3), np.uint8))

    text = render(evolve(full, pictures=("calibration.png", *names)), folder, {})

    assert 1_000_000 < len(text.encode()) < 5_000_000


@pytest.fixture
def few_labelled(val, tmp_path):
    """Twelve of the labelled photographs: enough for eight pairs."""
    for kind in ("images", "labels"):
        (tmp_path / "few" / kind).mkdir(parents=True)
        for path in sorted((val / kind).iterdir())[:12]:
            (tmp_path / "few" / kind / path.name).symlink_to(path)
    return tmp_path / "few"


@pytest.mark.slow
def test_the_page_of_a_real_model_is_below_five_megabytes_and_takes_at_most_five_seconds(
    models, train, few_labelled, tmp_path
):
    """A page's size comes from what it shows, and that is as much with few pictures to calibrate with."""
    asked = Request(
        str(models / "yolov5s-640.onnx"),
        images=train / "images",
        labelled=few_labelled,
        count=8,
        keep_float=("stem",),
        toolchain="none",
        output=tmp_path / "run",
    )
    engine(asked)
    run, manifest = read_run(tmp_path / "run"), read_manifest(tmp_path / "run")

    started = time.perf_counter()
    text = render(run, run.folder, manifest)
    seconds = time.perf_counter() - started

    assert 6 <= text.count('class="slider"') <= 8
    assert run.warnings[0].message in text
    assert len(text.encode()) < 5_000_000
    assert seconds < 5
