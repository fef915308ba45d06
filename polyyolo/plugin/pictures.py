"""Pictures for ``polygraphy run --yolo-images``."""

import os
from collections.abc import Iterator

from attrs import evolve

from polyyolo import progress
from polyyolo.calibration.feeder import Feed, Feeder
from polyyolo.loader import PREFIX, PolygraphyLog, read_options
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


def pictures(images: str, **settings: str) -> Pictures:
    """Feed pictures as ``polyyolo/loader.py`` does; what is given here wins over environment and TOML file.

    Args:
        images: folder, picture, .txt list, data.yaml or .npy.
        **settings: any other setting of the loader, as text: ``count="16"``.

    Raises:
        PolygraphyException: a setting is wrong, or the pictures cannot be used.
    """
    given = {PREFIX + name.upper(): text for name, text in {"images": images, **settings}.items()}
    log = PolygraphyLog()
    with told(), progress.listening(log):
        options = read_options({**os.environ, **given}, {})
        return Pictures(evolve(options, calibrates=False), log)
