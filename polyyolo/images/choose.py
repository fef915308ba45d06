"""Choose the pictures to calibrate with: seeded, checked, and every one left out is named."""

import hashlib
import random
import shlex
from collections.abc import Collection, Generator, Sequence
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import TypeVar

import numpy as np
from attrs import frozen

from polyyolo import progress
from polyyolo.errors import PictureError
from polyyolo.files import sha256_of
from polyyolo.images.ahead import ahead
from polyyolo.images.arrays import Entries, entry_tensor, open_entries
from polyyolo.images.copies import repeats
from polyyolo.images.lint import Severity, range_mistake
from polyyolo.images.reading import decode, read_bytes
from polyyolo.images.sources import find_pictures, is_array
from polyyolo.records import CalibrationSet, Preprocessing, Skipped
from polyyolo.wording import counted

Item = TypeVar("Item")

ENOUGH = 100
STEP = "check pictures"
CHANGED = "leave the pictures as they are until the run is done, and start it again"


@frozen
class Candidate:
    """One picture that was looked at; it can be used when ``flaw`` is empty."""

    path: Path
    index: int = 0
    digest: str = ""
    flaw: str = ""


def choose(  # noqa: PLR0913 - the contract that every stage calls
    source: Path,
    preprocessing: Preprocessing,
    *,
    count: int,
    batch: int,
    seed: int = 0,
    split: str = "train",
    calibrates: bool = True,
    but: Collection[Path] = (),
) -> CalibrationSet:
    """Choose ``count`` usable pictures at random, or all when there are fewer.

    Each is decoded once to be sure of it; an unusable one is replaced by the next in the seeded order. The same
    source and seed give the same pictures on every machine.

    Args:
        source: what ``find_pictures`` takes, or an .npy of shape (N, C, H, W) as ``images.arrays`` describes.
        preprocessing: what the pictures will go through; an .npy must fit it.
        count: how many pictures are wanted.
        batch: pictures a batch; what does not fill one at the end is not chosen.
        seed: of the choice.
        split: the key of a data.yaml to read.
        calibrates: whether scales come from them, for which a few are too few.
        but: pictures that are not to be chosen.

    Raises:
        PictureError: the source holds no usable picture, or an .npy does not fit.
        InputError: too few for one batch.
    """
    if count < 1:
        raise PictureError(f"{count} pictures were asked for", fix="ask for at least 1")
    candidates, found = _candidates(source, preprocessing, seed, split, but)
    usable, skipped = _take(candidates, min(count, found))
    if not usable:
        raise PictureError(
            f"none of the {found} pictures in {source} can be used: {naming(skipped)}",
            fix="write other values into it" if is_array(source) else remedy(skipped),
        )
    usable = _in_whole_batches(usable, batch)
    chosen = CalibrationSet(
        sources=(source,) if is_array(source) else tuple(each.path for each in usable),
        indices=tuple(each.index for each in usable) if is_array(source) else (),
        preprocessing=preprocessing,
        batch=batch,
        seed=seed,
        found=found,
        sha256=_digest(usable),
        skipped=skipped,
    )
    _tell_skipped(chosen, source)
    if calibrates:
        _tell_few(chosen)
    _tell_repeated(chosen, usable)
    return chosen


def refuse_changed(chosen: CalibrationSet) -> None:
    """Refuse pictures that are no longer those that were chosen.

    Raises:
        PictureError: their bytes or names are others, or one is there no more.
    """
    source = chosen.sources[0]
    try:
        if chosen.indices:
            entries = open_entries(source, chosen.preprocessing)
            now = [_look_at_entry(source, entries, chosen.preprocessing, index) for index in chosen.indices]
        else:
            now = [Candidate(path, digest=sha256_of(path)) for path in chosen.sources]
    except (OSError, PictureError, IndexError):  # an .npy may have fewer entries now
        now = []
    if _digest(now) != chosen.sha256:
        raise PictureError("pictures to calibrate with changed since they were chosen", fix=CHANGED)


def naming(skipped: tuple[Skipped, ...], limit: int = 3) -> str:
    """Name the first few that were left out, each with its reason, and count the others."""
    named = "; ".join(f"{each.path.name} ({each.reason})" for each in skipped[:limit])
    return named + (f"; and {len(skipped) - limit} more" if len(skipped) > limit else "")


def remedy(skipped: tuple[Skipped, ...]) -> str:
    """Say what to do where no picture can be used: other pictures, or other paths where nothing is at these."""
    if any(each.path.exists() for each in skipped):
        return "give pictures that open in an image viewer"
    return f"there is no {skipped[0].path}: correct the paths, which begin at their list's folder or at the current one"


def _candidates(
    source: Path, preprocessing: Preprocessing, seed: int, split: str, but: Collection[Path]
) -> tuple[Generator[Candidate, None, None], int]:
    """Look at everything that the source holds, in seeded order, but for some; and say how much it holds."""
    if is_array(source):
        entries = open_entries(source, preprocessing)
        order = _shuffled(range(len(entries)), seed)
        return ahead(partial(_look_at_entry, source, entries, preprocessing), order), len(order)
    paths = _shuffled(find_pictures(source, split=split), seed)
    return ahead(_look_at_picture, [path for path in paths if path not in but]), len(paths)


def _shuffled(items: Sequence[Item], seed: int) -> list[Item]:
    shuffled = list(items)
    random.Random(seed).shuffle(shuffled)  # noqa: S311 - reproducible, not secret
    return shuffled


def _take(candidates: Generator[Candidate, None, None], count: int) -> tuple[list[Candidate], tuple[Skipped, ...]]:
    """Take candidates until ``count`` of them are usable."""
    usable: list[Candidate] = []
    skipped: list[Skipped] = []
    with progress.step(STEP, count), closing(candidates):
        for candidate in candidates:
            if candidate.flaw:
                skipped.append(Skipped(candidate.path, candidate.flaw))
                continue
            usable.append(candidate)
            progress.advance(STEP)
            if len(usable) == count:
                break
    return usable, tuple(skipped)


def _in_whole_batches(usable: list[Candidate], batch: int) -> list[Candidate]:
    """Leave out those at the end that fill no batch; all stay where they do not fill the first."""
    rest = len(usable) % batch
    if not rest or rest == len(usable):
        return usable
    progress.note(f"{rest} of {len(usable)} pictures are not used: they do not fill a batch of {batch}")
    return usable[:-rest]


def _look_at_picture(path: Path) -> Candidate:
    try:
        data = read_bytes(path)
        image = decode(data)
    except PictureError as error:
        return Candidate(path, flaw=error.message)
    if (image == image[0, 0]).all():
        return Candidate(path, flaw="it is of one single colour")
    return Candidate(path, digest=hashlib.sha256(data).hexdigest())


def _look_at_entry(path: Path, entries: Entries, preprocessing: Preprocessing, index: int) -> Candidate:
    """Check one entry of an .npy.

    Raises:
        PictureError: its values are in another range than the model takes; then so are all the others.
    """
    tensor = entry_tensor(entries, index, preprocessing)
    if not np.isfinite(tensor).all():
        return Candidate(path, index, flaw=f"entry {index} holds NaN or infinity")
    if tensor.min() == tensor.max():
        return Candidate(path, index, flaw=f"entry {index} is of one single value")
    mistake = range_mistake(tensor, preprocessing)
    if mistake and mistake.severity is Severity.WARNING:
        return Candidate(path, index, flaw=f"entry {index}: {mistake.message}: {mistake.fix}")
    if mistake:
        raise PictureError(f"{path}: entry {index}: {mistake.message}", fix=mistake.fix)
    return Candidate(path, index, digest=hashlib.sha256(tensor.tobytes()).hexdigest())


def _digest(usable: list[Candidate]) -> str:
    """Hash names and bytes in order; folders are left out, so that a moved set keeps its hash."""
    named = "".join(f"{each.path.name}:{each.index}:{each.digest}\n" for each in usable)
    return hashlib.sha256(named.encode(errors="surrogateescape")).hexdigest()


def _tell_skipped(chosen: CalibrationSet, source: Path) -> None:
    if chosen.skipped:
        progress.warn(
            f"{counted(len(chosen.skipped), 'picture')} cannot be used: {naming(chosen.skipped)}",
            "others were used in their place where there were any; all are named by polyyolo inspect data "
            + shlex.quote(str(source)),
        )


def _tell_few(chosen: CalibrationSet) -> None:
    if chosen.pictures < ENOUGH:
        progress.warn(
            f"only {counted(chosen.pictures, 'picture')} to calibrate with",
            "NVIDIA and Ultralytics advise 300 to 1000 like those the model will see; on COCO 32 already come close",
        )


def _tell_repeated(chosen: CalibrationSet, usable: list[Candidate]) -> None:
    repeated = list(repeats(usable, key=lambda each: each.digest))
    if repeated:
        one, twin = repeated[0]
        progress.warn(
            f"{len(repeated)} of the {chosen.pictures} pictures repeat another one's bytes, "
            f"as {_name(one, chosen)} does {_name(twin, chosen)}",
            "remove the copies: they weigh twice in the ranges",
        )


def _name(candidate: Candidate, chosen: CalibrationSet) -> str:
    return f"entry {candidate.index}" if chosen.indices else candidate.path.name
