"""Where tests find real models and pictures: ``POLYYOLO_SHARED``, else ``../shared`` beside the project."""

import os
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder with real models and labelled pictures."""
    here = Path(__file__).resolve().parent.parent
    folder = Path(os.environ.get("POLYYOLO_SHARED", here.parent / "shared"))
    if not (folder / "models").is_dir():
        pytest.skip(f"no real models at {folder}: set POLYYOLO_SHARED")
    return folder


@pytest.fixture(scope="session")
def models(shared: Path) -> Path:
    """Real models, see the README there."""
    return shared / "models"


@pytest.fixture(scope="session")
def train(shared: Path) -> Path:
    """128 labelled pictures to calibrate with."""
    return shared / "data" / "coco128-train"


@pytest.fixture(scope="session")
def val(shared: Path) -> Path:
    """128 labelled pictures to measure with."""
    return shared / "data" / "coco128-val"
