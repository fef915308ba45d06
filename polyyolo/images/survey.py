"""Look through everything that a calibration would see."""

from collections.abc import Iterator

from attrs import frozen

from polyyolo import progress
from polyyolo.images.letterbox import Tensor
from polyyolo.images.lint import Finding, Severity, lint
from polyyolo.images.sources import is_array
from polyyolo.images.stream import batched, chosen_tensors, tensors
from polyyolo.records import CalibrationSet, Skipped, TensorSpec

STEP = "look at pictures"


@frozen
class SizeCount:
    """How many pictures have one size, in pixels."""

    height: int
    width: int
    pictures: int


@frozen
class Survey:
    """What a source holds and what a calibration would make of it.

    Attributes:
        found: pictures in the source.
        chosen: pictures that would be used, in ``batches`` full batches.
        sizes: of the pictures used, before fitting, the commonest first; empty for an .npy.
        skipped: what was left out, each with its reason.
        findings: what is wrong with the batches, each said once.
    """

    found: int
    chosen: int
    batches: int
    sha256: str
    sizes: tuple[SizeCount, ...]
    skipped: tuple[Skipped, ...]
    findings: tuple[Finding, ...]

    @property
    def is_usable(self) -> bool:
        """Whether no batch has an error."""
        return all(finding.severity is not Severity.ERROR for finding in self.findings)


def survey(chosen: CalibrationSet, tensor: TensorSpec) -> Survey:
    """Go through all batches once, as a calibration would.

    Args:
        chosen: the pictures and what they go through.
        tensor: the input that takes them.

    Raises:
        PictureError: a picture cannot be used any more.
    """
    sizes: dict[tuple[int, int], int] = {}
    findings: dict[Finding, None] = {}
    stream = batched(_counting(chosen, sizes), chosen.batch)
    for batch in progress.track(stream, STEP, chosen.batches):
        findings.update(dict.fromkeys(lint(batch, tensor, chosen.preprocessing)))
    commonest = sorted(sizes.items(), key=lambda item: (-item[1], item[0]))
    return Survey(
        found=chosen.found,
        chosen=chosen.pictures,
        batches=chosen.batches,
        sha256=chosen.sha256,
        sizes=tuple(SizeCount(height, width, pictures) for (height, width), pictures in commonest),
        skipped=chosen.skipped,
        findings=tuple(findings),
    )


def _counting(chosen: CalibrationSet, sizes: dict[tuple[int, int], int]) -> Iterator[Tensor]:
    """Pass tensors on and count their pictures' sizes in ``sizes``."""
    if is_array(chosen.sources[0]):
        yield from chosen_tensors(chosen)
        return
    for _, tensor, fit in tensors(chosen.sources, chosen.preprocessing):
        sizes[fit.source] = sizes.get(fit.source, 0) + 1
        yield tensor
