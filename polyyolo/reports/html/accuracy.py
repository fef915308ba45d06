"""What INT8 keeps of FP32, class by class and size by size."""

from attrs import frozen

from polyyolo.records import Accuracy, Fidelity


@frozen
class Row:
    """mAP50-95 of both models on one class, or on objects of one size; 0 to 1."""

    name: str
    reference: float
    candidate: float

    @property
    def lost_points(self) -> float:
        """Hundredths of mAP50-95 that the candidate has less."""
        return 100 * (self.reference - self.candidate)


def classes(fidelity: Fidelity | None) -> list[Row]:
    """One row a class that the labels hold, the largest loss first."""
    if fidelity is None or fidelity.reference is None or fidelity.candidate is None:
        return []
    return sorted(_rows(fidelity.reference, fidelity.candidate, "per_class"), key=lambda row: -row.lost_points)


def sizes(fidelity: Fidelity | None) -> list[Row]:
    """One row a size of object, in the order of the record."""
    if fidelity is None or fidelity.reference is None or fidelity.candidate is None:
        return []
    return _rows(fidelity.reference, fidelity.candidate, "per_size")


def _rows(reference: Accuracy, candidate: Accuracy, kind: str) -> list[Row]:
    """Only what both models were measured on."""
    ours, theirs = getattr(reference, kind), getattr(candidate, kind)
    return [Row(name, value, theirs[name]) for name, value in ours.items() if name in theirs]
