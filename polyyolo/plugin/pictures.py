"""Pictures for ``polygraphy run --yolo-images``."""

import os

from polyyolo import progress
from polyyolo.calibration.feeder import Feeder
from polyyolo.loader import PREFIX, PolygraphyLog, read_options
from polyyolo.plugin.telling import told


def pictures(images: str, **settings: str) -> Feeder:
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
        return Feeder(read_options({**os.environ, **given}, {}), log)
