"""The variants that can be compared, by name."""

from collections.abc import Sequence

from attrs import frozen

from polyyolo.errors import InputError
from polyyolo.records import Precision, Route


@frozen
class Variant:
    """One way to build a model."""

    name: str
    precision: Precision
    route: Route = Route.QDQ


REFERENCE = Variant("fp32", Precision.FP32)
"""What the others are held against."""
QDQ = Variant("int8-qdq", Precision.INT8)
CALIBRATED = Variant("int8-calibrated", Precision.INT8, Route.CALIBRATED)
VARIANTS = (REFERENCE, Variant("fp16", Precision.FP16), QDQ, CALIBRATED)
NAMES = tuple(variant.name for variant in VARIANTS)


def named(names: Sequence[str]) -> tuple[Variant, ...]:
    """Find variants by name; the order is always the same, and a name that is there twice counts once.

    Raises:
        InputError: there is no such variant, or none is named.
    """
    known = {variant.name: variant for variant in VARIANTS}
    unknown = [name for name in names if name not in known]
    if unknown or not names:
        told = f"there is no variant {unknown[0]!r}" if unknown else "no variant is named"
        raise InputError(told, fix=f"choose among {', '.join(known)}")
    return tuple(variant for variant in VARIANTS if variant.name in names)
