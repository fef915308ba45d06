"""What models see on pictures: one pass for any number of pictures, whose tensors are not kept."""

import hashlib
import json
from collections.abc import Generator, Iterable, Mapping, Sequence
from contextlib import ExitStack, closing
from itertools import islice
from pathlib import Path
from typing import Protocol

import onnxruntime
from attrs import asdict, frozen

from polyyolo import __version__, progress
from polyyolo.errors import PictureError
from polyyolo.files import plain
from polyyolo.images.ahead import ahead
from polyyolo.images.letterbox import Fit
from polyyolo.images.reading import read_bytes
from polyyolo.records import HeadKind, ModelSpec, Preprocessing
from polyyolo.verification.boxes import Array, Boxes
from polyyolo.verification.inference import DISPLAY, EVALUATION, Runner, batches, find, refuse_changed
from polyyolo.verification.noise import pair_outputs, powers


@frozen(eq=False)
class Sighting:
    """What was seen on one picture, by each model in turn.

    Attributes:
        size: (height, width) of the picture in pixels.
        shown: boxes above 0.25, the best class of each; empty where a model has no recognised head.
        evaluated: all that mAP counts; empty unless asked for.
        powers: (K, 2) float64, power of each paired output of the first model, and of the second one's error.
    """

    size: tuple[int, int]
    shown: tuple[Boxes, ...]
    evaluated: tuple[Boxes, ...]
    powers: Array


class Kept(Protocol):
    """Sightings by a digest of all that they follow from: a dictionary, or a ``Ledger``, which outlives the process."""

    def __contains__(self, key: object, /) -> bool:
        """Whether a picture was seen before."""

    def __getitem__(self, key: str, /) -> Sighting:
        """Give what was seen on it."""

    def update(self, pairs: Iterable[tuple[str, Sighting]], /) -> None:
        """Keep what was seen on the pictures of a batch."""


class _Memory(dict[str, Sighting]):
    """What is kept where nothing is to outlive the process."""


@frozen
class View:
    """Who looks, and how.

    Attributes:
        models: one model, or the reference and the candidate.
        preprocessing: of all models.
        evaluate: whether boxes for mAP are wanted.
    """

    models: tuple[ModelSpec, ...]
    preprocessing: Preprocessing
    evaluate: bool

    @property
    def has_boxes(self) -> bool:
        """Whether all models have a recognised head."""
        return HeadKind.NONE not in {model.head.kind for model in self.models}

    @property
    def outputs(self) -> Mapping[str, str]:
        """Raw outputs of both models that can be compared; a model alone has none."""
        return pair_outputs(*self.models) if len(self.models) > 1 else {}

    @property
    def digest(self) -> str:
        """Of everything but the picture that decides what is seen."""
        seen = [(model.sha256, plain(model.head)) for model in self.models]
        how = [plain(self.preprocessing), asdict(DISPLAY), self.evaluate and asdict(EVALUATION)]
        return hashlib.sha256(
            json.dumps([__version__, onnxruntime.__version__, seen, how, self.outputs]).encode()
        ).hexdigest()


def look(view: View, pictures: Sequence[Path], kept: Kept | None = None) -> list[Sighting]:
    """Run the models on every picture of which nothing is kept yet.

    Args:
        view: the models.
        pictures: files, in order.
        kept: what was seen before; new sightings are added batch by batch.

    Returns:
        What was seen on each picture, in order.

    Raises:
        ModelError: a model does not run.
        PictureError: a picture cannot be used.
        ToolchainError: a model is an engine, and this machine cannot run it.
    """
    kept = _Memory() if kept is None else kept
    keys = _keys(view.digest, pictures)
    missing = [place for place, key in enumerate(keys) if key not in kept]
    if len(missing) < len(keys):
        progress.note(
            f"{len(keys) - len(missing)} of {len(keys)} pictures were finished before: they are not run again"
        )
    if missing:
        waiting = iter([keys[place] for place in missing])
        with closing(_batches(view, [pictures[place] for place in missing])) as found:
            for batch in found:
                kept.update(zip(islice(waiting, len(batch)), batch, strict=True))
    return [kept[key] for key in keys]


def _keys(digest: str, pictures: Sequence[Path]) -> list[str]:
    """A digest of each picture's bytes and of who looks at it."""
    with closing(ahead(_sha256_of, pictures)) as hashed:
        return [hashlib.sha256(f"{digest}{each}".encode()).hexdigest() for each in hashed]


def _sha256_of(picture: Path) -> str:
    try:
        return hashlib.sha256(read_bytes(picture)).hexdigest()
    except PictureError as error:
        raise PictureError(f"cannot use {picture}: {error.message}", fix=error.fix) from error


def _batches(view: View, pictures: Sequence[Path]) -> Generator[list[Sighting], None, None]:
    with ExitStack() as opened:
        runners = [opened.enter_context(Runner(model)) for model in view.models]
        for model in view.models:
            refuse_changed(model)  # now that it is loaded, it may
        size = max(runner.batch for runner in runners)
        for tensors, fits in batches(pictures, view.preprocessing, size, "verify"):
            yield _of_batch(view, [runner.infer(tensors) for runner in runners], fits)


def _of_batch(view: View, raw: Sequence[Mapping[str, Array]], fits: Sequence[Fit]) -> list[Sighting]:
    """Give what each picture of a batch needs of the raw outputs of all models."""
    heads = [model.head.at(view.preprocessing.size) for model in view.models]
    models = list(zip(raw, heads, strict=True)) if view.has_boxes else []
    shown = [find(outputs, head, fits, DISPLAY) for outputs, head in models]
    evaluated = [find(outputs, head, fits, EVALUATION) for outputs, head in models if view.evaluate]
    noise = powers(view.outputs, raw[0], raw[-1], len(fits))
    return [
        Sighting(
            fit.source, tuple(each[place] for each in shown), tuple(each[place] for each in evaluated), noise[place]
        )
        for place, fit in enumerate(fits)
    ]
