"""The pictures of a run: which to calibrate with, and which to keep out of that, so that models can be compared."""

import hashlib
import os
import random
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

from polyyolo import progress
from polyyolo.errors import InputError, PictureError
from polyyolo.files import sha256_of
from polyyolo.images import samples
from polyyolo.images.choose import CHANGED, choose
from polyyolo.images.copies import Content, contents
from polyyolo.images.reading import read_picture
from polyyolo.images.sources import find_pictures, is_array
from polyyolo.records import CalibrationSet, ModelSpec, Precision, Preprocessing, Request
from polyyolo.verification.labelled import Labelled

HELD = 32
"""Pictures that are kept out of the calibration to compare models on, where none are labelled; a fifth at most."""


def choose_pictures(
    request: Request, spec: ModelSpec, preprocessing: Preprocessing, batch: int, *, labelled: bool
) -> tuple[CalibrationSet | None, tuple[Path, ...]]:
    """Choose what to calibrate with, and keep some pictures out to compare on, the same ones in every precision.

    Args:
        request: what was asked for.
        spec: the model.
        preprocessing: what the pictures go through.
        batch: pictures a batch of the calibration.
        labelled: whether labelled pictures were given, to compare on.

    Returns:
        What to calibrate with, None where nothing is quantized; and what to compare on, where none are labelled.

    Raises:
        PictureError: pictures that cannot be used.
        InputError: too few for one batch.
    """
    quantizes = request.precision is Precision.INT8 and not spec.quantized
    source = request.images or (samples.fetch() if quantizes else None)
    if source is None:
        return None, ()
    if is_array(source):
        chosen = choose(
            source, preprocessing, count=request.count, batch=batch, seed=request.seed, calibrates=quantizes
        )
        return (chosen if quantizes else None), ()
    found = find_pictures(source)
    content = {} if labelled else contents(found)
    most = min(HELD, len({*content.values()}) // 5)
    if len(found) - most < batch:
        most = 0
    held = _held(content, most, request.seed)
    if not quantizes:
        return None, held
    if held and len(found) - len(held) < request.count:
        progress.note(
            f"{len(held)} of {len(found)} pictures are not calibrated with, to compare the models on: none are labelled"
        )
    if len(found) - len(held) > request.count:
        progress.note(f"{request.count} of {len(found)} pictures are calibrated with: --count takes more")
    wanted = partial(choose, source, preprocessing, count=max(batch, request.count), batch=batch, seed=request.seed)
    try:
        kept = {content[path] for path in held}
        return wanted(but=[path for path in content if content[path] in kept]), held
    except (InputError, PictureError):
        if not held:
            raise
        return wanted(), ()  # so few can be used that all are needed


def _held(content: Mapping[Path, Content], count: int, seed: int) -> tuple[Path, ...]:
    """Choose pictures to compare on, among those that can be read; of copies, one."""
    shuffled = random.Random(seed).sample(list(content), len(content))  # noqa: S311 - reproducible, not secret
    kept: dict[Content, Path] = {}
    for path in shuffled:
        if len(kept) == count:
            break
        try:
            read_picture(path)
        except PictureError:
            continue
        kept.setdefault(content[path], path)
    return tuple(kept.values())


def was_held_out(calibration: CalibrationSet | None, compared_on: Sequence[Path]) -> bool:
    """Whether no picture that models are compared on was calibrated with, by its bytes, whatever it is called.

    Of pictures that were calibrated with and cannot be looked at any more, the name alone is known: one of the same
    name may be the same, so that it is not held out either. Warnings tell of both.
    """
    if calibration is None:
        return True
    content = contents((*calibration.sources, *compared_on))
    used = {content[path] for path in calibration.sources}
    both = [path for path in compared_on if content[path] in used]
    gone = {path.name for path in calibration.sources if not os.access(path, os.R_OK)}
    doubtful = [path for path in sorted({*compared_on} - {*both}) if path.name in gone]
    if both:
        progress.warn(
            f"{len(both)} of the {len(compared_on)} pictures to compare on were calibrated with, as {both[0].name}",
            "measure on other pictures, or the result flatters the model",
        )
    if doubtful:
        progress.warn(
            f"whether {len(doubtful)} of the {len(compared_on)} pictures to compare on were calibrated with cannot be "
            f"told, as {doubtful[0].name}: pictures of these names were, and are not where they were then",
            "start it from the folder that the calibration was started from, or measure on other pictures",
        )
    return not (both or doubtful)


def refuse_changed_pictures(paths: Sequence[Path], labelled: Labelled | None, digest: str) -> None:
    """Refuse pictures that are no longer those that ``digest_of`` gave this digest for.

    Raises:
        PictureError: as above, or one is there no more.
    """
    if digest_of(paths, labelled) != digest:
        raise PictureError("pictures to compare on changed since the run began", fix=CHANGED)


def digest_of(paths: Sequence[Path], labelled: Labelled | None) -> str:
    """Hash pictures, by bytes and in order, and what their labels say.

    Raises:
        PictureError: one is there no more.
    """
    try:
        lines = [f"{path.name}:{sha256_of(path)}" for path in paths]
    except OSError as error:
        raise PictureError(f"{error.filename}, to compare on, cannot be read: {error.strerror}", fix=CHANGED) from error
    if labelled:
        lines += [repr(truths) for truths in (*labelled.truths, labelled.names, labelled.relative)]
    return hashlib.sha256("\n".join(lines).encode(errors="surrogateescape")).hexdigest()
