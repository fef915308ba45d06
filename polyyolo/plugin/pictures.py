"""Pictures for ``polygraphy run --yolo-images``."""

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from attrs import evolve

from polyyolo import progress
from polyyolo.calibration.feeder import Feed, Feeder
from polyyolo.errors import ModelError
from polyyolo.images.presets import preset_of
from polyyolo.loader import PREFIX, PolygraphyLog, read_options
from polyyolo.models.spec import read_spec
from polyyolo.plugin.telling import told


class Pictures(Feeder):
    """A ``Feeder`` whose errors are Polygraphy's; mutable, as that is."""

    def __iter__(self) -> Iterator[Feed]:
        """Yield each batch.

        Raises:
            PolygraphyException: the settings do not fit the model's input, or a batch is not what it should be.
        """
        with told():
            yield from super().__iter__()


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
