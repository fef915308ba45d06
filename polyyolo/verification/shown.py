"""The pictures that are drawn: where the models differ most, and a few that are typical."""

from collections.abc import Sequence
from pathlib import Path

from polyyolo.records import SAME_OBJECT, Shown
from polyyolo.verification.agreement import Pair, disagreement, match, typical, worst
from polyyolo.verification.pictures import write_pairs

WORST, TYPICAL = 6, 2
"""Pictures drawn side by side: those on which the models differ most, and some on which they differ as usual."""


def draw_shown(
    pairs: Sequence[Pair], names: Sequence[str], folder: Path, *, titles: tuple[str, str] = ("FP32", "INT8")
) -> tuple[Shown, ...]:
    """Draw them into ``folder``.

    Args:
        pairs: what both models found on each picture.
        names: class names by index, or none.
        folder: made where it is missing; files are told below its parent.
        titles: of the left and the right half.

    Returns:
        What each shows, worst first.

    Raises:
        PictureError: a picture cannot be read any more.
        InputError: the folder cannot be written to.
        ToolchainError: the disk is full.
    """
    chosen = list(dict.fromkeys([*worst(pairs, WORST), *typical(pairs, TYPICAL)]))
    drawn = write_pairs(chosen, names, folder, titles=titles)
    return tuple(_shown(pair, f"{folder.name}/{path.name}") for pair, path in zip(chosen, drawn, strict=True))


def _shown(pair: Pair, file: str) -> Shown:
    matched = len(match(pair.reference, pair.candidate, SAME_OBJECT)[0])
    return Shown(file, pair.picture.name, len(pair.reference), len(pair.candidate), matched, disagreement(pair))
