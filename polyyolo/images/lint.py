"""Look at a batch before it is used: the mistakes that ruin a calibration and that nothing else would mention."""

from collections.abc import Iterator
from enum import Enum

import numpy as np
import numpy.typing as npt
from attrs import frozen

from polyyolo.records import Preprocessing, TensorSpec

Values = npt.NDArray[np.generic]


class Severity(str, Enum):
    """Whether a batch may still be used."""

    ERROR = "error"
    WARNING = "warning"


@frozen
class Finding:
    """Something wrong with a batch, and what to do about it."""

    severity: Severity
    message: str
    fix: str


def lint(batch: Values, tensor: TensorSpec, preprocessing: Preprocessing) -> tuple[Finding, ...]:
    """Check one batch against the model's input and the preprocessing.

    Args:
        batch: (B, C, H, W) as it would be fed.
        tensor: the input that takes it.
        preprocessing: what made it, or should have.

    Returns:
        What is wrong, errors first: dtype, shape, NaN or infinity, another range than the preprocessing gives (0 to
        255 where 0 to 1 is meant), no content, the same picture twice.
    """
    findings = [*_form(batch, tensor), *_content(batch, preprocessing)]
    return tuple(sorted(findings, key=lambda finding: finding.severity is Severity.WARNING))


def expected_range(preprocessing: Preprocessing) -> tuple[float, float]:
    """Compute the smallest and largest value that black and white pixels can become."""
    ends = [
        (level * preprocessing.scale - mean) / std
        for mean, std in zip(preprocessing.mean, preprocessing.std, strict=True)
        for level in (0, 255)
    ]
    return min(ends), max(ends)


def range_mistake(values: Values, preprocessing: Preprocessing) -> Finding | None:
    """Tell whether values are outside what the preprocessing can give, or squeezed into a hundredth of it."""
    low, high = expected_range(preprocessing)
    least, most = float(values.min()), float(values.max())
    between = f"values go from {least:.4g} to {most:.4g}, where this preprocessing gives {low:.4g} to {high:.4g}"
    slack = 0.05 * (high - low)
    if least < low - slack or most > high + slack:
        return Finding(
            Severity.ERROR,
            between,
            fix="scale them as the model was trained, or save uint8, which is scaled when it is read; where the model "
            "takes such values, tell it with --scale, --mean and --std (--scale 1 for 0 to 255)",
        )
    if most - least < 0.01 * (high - low):
        return Finding(Severity.WARNING, between, fix="they were perhaps scaled twice: leave one of the two out")
    return None


def _form(batch: Values, tensor: TensorSpec) -> Iterator[Finding]:
    if str(batch.dtype) != tensor.dtype:
        yield _error(f"the batch is {batch.dtype}, input {tensor.name!r} takes {tensor.dtype}", "cast it")
    fits = batch.ndim == len(tensor.dims) and all(
        isinstance(dim, str) or dim == length for dim, length in zip(tensor.dims, batch.shape, strict=True)
    )
    if not fits:
        yield _error(
            f"the batch is {batch.shape}, input {tensor.name!r} takes {tensor.dims}",
            "use the model's own batch, height and width",
        )


def _content(batch: Values, preprocessing: Preprocessing) -> Iterator[Finding]:
    finite = np.isfinite(batch)
    if not finite.all():
        spoilt = [index for index, each in enumerate(finite) if not each.all()]
        yield _error(f"NaN or infinity in picture {spoilt[0]} of the batch ({len(spoilt)} in all)", "leave it out")
        return
    flat = [index for index, each in enumerate(batch) if each.min() == each.max()]
    if len(flat) == len(batch):
        yield _error("every picture of the batch is one single value", "check how the pictures are read")
        return
    if flat:
        yield _warning(f"picture {flat[0]} of the batch is one single value ({len(flat)} in all)", "leave it out")
    if mistake := range_mistake(batch, preprocessing):
        yield mistake
    distinct = len({each.tobytes() for each in batch})
    if distinct < len(batch):
        yield _warning(
            f"{len(batch) - distinct} of {len(batch)} pictures in the batch repeat another", "leave them out"
        )


def _error(message: str, fix: str) -> Finding:
    return Finding(Severity.ERROR, message, fix)


def _warning(message: str, fix: str) -> Finding:
    return Finding(Severity.WARNING, message, fix)
