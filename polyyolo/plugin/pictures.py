"""Pictures for ``polygraphy run --yolo-images``."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from attrs import evolve

from polyyolo import progress
from polyyolo.errors import ModelError
from polyyolo.images.presets import preset_of
from polyyolo.loader import PREFIX, Pictures, read_options
from polyyolo.models.spec import read_spec
from polyyolo.telling import PolygraphyLog, told


def pictures(images: str, model: str | None = None, **settings: str) -> Pictures:
    """Feed pictures as ``polyyolo/loader.py`` does; what is given here wins over environment and TOML file.

    Args:
        images: folder, picture, .txt list, data.yaml or .npy.
        model: the ONNX whose family tells the preprocessing, where none of these does; None takes YOLOv5's.
        **settings: any other setting of the loader, as text: ``count="16"``.

    Raises:
        PolygraphyException: a setting is wrong, or the pictures cannot be used.
    """
    given = {PREFIX + name.upper(): text for name, text in {"images": images, **settings}.items()}
    log = PolygraphyLog()
    with told(), progress.listening(log):
        options = read_options({**os.environ, **given}, {})
        preset = _preset(Path(model), log) if model else options.preset
        return Pictures(evolve(options, preset=preset, calibrates=False), log)


def _preset(model: Path, log: PolygraphyLog) -> Mapping[str, Any]:
    """Give the preprocessing of the model's family; a model that only Polygraphy can read has YOLOv5's."""
    try:
        return preset_of(read_spec(model))
    except ModelError as error:
        log.warned(f"{error.message}; the pictures are fed as YOLOv5's", error.fix)
        return {}
