"""A ready ``load_data`` for Polygraphy: real pictures instead of its random numbers.

    export POLYYOLO_IMAGES=photos/
    polygraphy convert yolov5s.onnx --int8 --data-loader-script polyyolo/loader.py -o yolov5s.plan
    polygraphy run yolov5s.onnx --onnxrt --data-loader-script polyyolo/loader.py

What it feeds is set by environment variables, or by keys of the same name in lower case and without the prefix in a
TOML file: the one that POLYYOLO_LOADER_CONFIG names, or ``polyyolo-loader.toml`` in the current folder. A variable
wins over the file, and a relative path in the file starts at the file's folder.

    POLYYOLO_IMAGES      folder, picture, .txt list, data.yaml or .npy (N, C, H, W); the only one that must be set
    POLYYOLO_COUNT       how many pictures, 300
    POLYYOLO_SEED        of their choice, 0
    POLYYOLO_SPLIT       key of a data.yaml to read, train
    POLYYOLO_BATCH       pictures a batch where the model leaves it open, 1
    POLYYOLO_SIZE        height and width where the model leaves them open: 640, 384x1280 (height x width)
    POLYYOLO_FIT         letterbox, top-left or stretch
    POLYYOLO_PAD         grey of the letterbox, 114
    POLYYOLO_COLOUR      rgb, bgr or grey
    POLYYOLO_SCALE       factor on 0..255, 1/255
    POLYYOLO_MEAN        subtracted after scaling, one or three numbers: 0.485,0.456,0.406
    POLYYOLO_STD         divided by after that: 0.229,0.224,0.225
    POLYYOLO_COUNT_FILE  JSON file for the number of batches promised and taken

Polygraphy imports this file as a top-level module named ``loader`` with this folder first on ``sys.path``: imports
must be absolute, and no module beside it may have the name of one in the standard library.
"""

import difflib
import os
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from polyyolo import progress
from polyyolo.calibration.feeder import Feed, Feeder, FeedOptions
from polyyolo.errors import InputError
from polyyolo.files import read_toml
from polyyolo.images import overrides
from polyyolo.models.own_size import LARGEST_SIDE
from polyyolo.telling import PolygraphyLog, told

PREFIX = "POLYYOLO_"
CONFIG = "polyyolo-loader.toml"
ALIKE = 0.8
"""How close the name of a variable must come to that of a setting to be meant for one; polyyolo reads others, too."""


class Pictures(Feeder):
    """A ``Feeder`` whose errors are Polygraphy's; mutable, as that is."""

    def __iter__(self) -> Iterator[Feed]:
        """Yield each batch.

        Raises:
            PolygraphyException: the settings do not fit the model's input, or a batch is not what it should be.
        """
        with told():
            yield from super().__iter__()


def load_data() -> Pictures:
    """Feed what the environment or the TOML file asks for.

    Raises:
        PolygraphyException: a setting is wrong (all are named), or the pictures cannot be used.
    """
    # Polygraphy runs this file as ``loader``, and pickles what is fed for --use-subprocess: it must be of a module that
    # can be found again.
    from polyyolo import loader  # noqa: PLW0406 - as above

    return loader.feed()


def feed(**presets: str) -> Pictures:
    """Feed what the environment or the TOML file asks for, with presets for what they leave open.

    Args:
        **presets: settings by the names of the TOML keys, as text: ``fit="stretch"``.

    Raises:
        PolygraphyException: a setting is wrong (all are named), or the pictures cannot be used.
    """
    log = PolygraphyLog()
    with told(), progress.listening(log):
        return Pictures(read_options(os.environ, presets), log)


def read_options(environment: Mapping[str, str], presets: Mapping[str, str]) -> FeedOptions:
    """Read every setting, and name every mistake at once.

    Raises:
        InputError: as above.
    """
    values: dict[str, Any] = {}
    mistakes = []
    for name, (origin, text) in _settings(environment, presets).items():
        try:
            values[name] = _parse(name, text)
        except ValueError as error:  # noqa: PERF203 - all mistakes are named at once
            mistakes.append(f"{origin}: {error}")
    if "images" not in values:
        mistakes.append("POLYYOLO_IMAGES is not set")
    if mistakes:
        raise InputError(
            "; ".join(mistakes),
            fix="correct these settings; the head of polyyolo/loader.py lists them all",
        )
    chosen = {name: values.pop(name) for name in overrides.OPTIONS if name in values}
    return FeedOptions(source=values.pop("images"), overrides=chosen, **values)


def _settings(environment: Mapping[str, str], presets: Mapping[str, str]) -> dict[str, tuple[str, str]]:
    """Collect each setting's origin and text: presets, then the file, then the environment, the last one wins."""
    settings = {name: ("preset", text) for name, text in presets.items()}
    config = Path(environment.get("POLYYOLO_LOADER_CONFIG", CONFIG))
    if "POLYYOLO_LOADER_CONFIG" in environment or config.exists():
        for name, value in read_toml(config).items():
            if value != "":  # as an empty variable, it is not set
                settings[name] = (f"{name} in {config}", _as_text(name, value, config.parent))
    for variable, text in environment.items():
        name = variable.removeprefix(PREFIX).lower()
        if text and variable.startswith(PREFIX) and difflib.get_close_matches(name, NAMES, n=1, cutoff=ALIKE):
            settings[name] = (variable, text)
    return settings


def _as_text(name: str, value: object, folder: Path) -> str:
    if name in {"images", "count_file"}:
        return str(folder / str(value))
    return ",".join(map(str, value)) if isinstance(value, list) else str(value)


def _parse(name: str, text: str) -> object:
    if name in overrides.OPTIONS:
        return overrides.from_text(name, text)
    if name not in PARSERS:
        near = difflib.get_close_matches(name, NAMES, n=1)
        raise ValueError("there is no such setting" + (f", did you mean {near[0]}?" if near else ""))
    wanted, parse = PARSERS[name]
    try:
        return parse(text)
    except ValueError:
        raise ValueError(f"{text!r} is not {wanted}") from None


def _positive(text: str) -> int:
    if int(text) < 1:
        raise ValueError(text)
    return int(text)


def _size(text: str) -> tuple[int, int]:
    sides = [_positive(side) for side in re.split(r"[x, ]+", text.strip().lower())]
    if len(sides) > 2 or max(sides) > LARGEST_SIDE:
        raise ValueError(text)
    return sides[0], sides[-1]


PARSERS: Mapping[str, tuple[str, Callable[[str], object]]] = {
    "images": ("a path", Path),
    "count": ("a whole number above 0", _positive),
    "batch": ("a whole number above 0", _positive),
    "seed": ("a whole number", int),
    "size": (f"one side, or height x width, in pixels up to {LARGEST_SIDE}", _size),
    "split": ("a key", str),
    "count_file": ("a path", Path),
}
NAMES = (*PARSERS, *overrides.OPTIONS)
