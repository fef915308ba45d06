"""The calibration table: every tensor's range by every method, measured once and kept beside the run."""

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from attrs import evolve

from polyyolo import files
from polyyolo.calibration import histogram_file, statistics, thresholds
from polyyolo.calibration.statistics import Histogram, Look
from polyyolo.errors import TableError
from polyyolo.images.stream import batches
from polyyolo.records import CalibrationSet, CalibrationTable, ModelSpec


def calibrate(  # noqa: PLR0913 - what is measured, on what, and where it goes
    spec: ModelSpec,
    chosen: CalibrationSet,
    tensors: Sequence[str],
    method: str,
    histograms: Path,
    *,
    look: Look | None = None,
) -> CalibrationTable:
    """Run the pictures through the FP32 model once and make the table.

    Args:
        spec: the model whose activations are measured.
        chosen: the pictures.
        tensors: names of the activations.
        method: whose ranges the table will use; all others are kept in it too.
        histograms: where the histograms go (.npz), so that another method needs no second calibration.
        look: tells from the model's outputs where pictures hold something, for the method mse-seen.

    Raises:
        InputError: no such method.
        ModelError: the model cannot be run, or gives NaN or infinity.
    """
    thresholds.threshold(method)
    found = statistics.measure(spec, tensors, batches(chosen), chosen.batches, look=look)
    with ThreadPoolExecutor(1) as beside:  # compressing holds no lock of Python's
        saved = beside.submit(histogram_file.save, found, histograms)
        ranges = _ranges(found, (*thresholds.METHODS, method))
    return CalibrationTable(
        model_sha256=spec.sha256,
        set_sha256=chosen.sha256,
        preprocessing=chosen.preprocessing,
        pictures=chosen.batches * chosen.batch,
        method=method,
        ranges=ranges,
        histogram_sha256=saved.result(),
    )


def with_method(table: CalibrationTable, method: str, histograms: Path) -> CalibrationTable:
    """Use another method's ranges, from the histograms where the table does not have them.

    Raises:
        TableError: the histograms are not those of this table.
    """
    if all(method in by_method for by_method in table.ranges.values()):
        return evolve(table, method=method)
    if not histograms.is_file() or files.sha256_of(histograms) != table.histogram_sha256:
        raise TableError(f"{histograms} does not hold this table's histograms", fix="calibrate again")
    more = _ranges(histogram_file.read(histograms), (method,))
    return evolve(table, method=method, ranges={name: {**table.ranges[name], **more[name]} for name in table.ranges})


def _ranges(found: Mapping[str, Histogram], methods: Sequence[str]) -> dict[str, dict[str, float]]:
    chosen = {method: thresholds.threshold(method) for method in dict.fromkeys(methods)}
    return {name: {method: clip(one) for method, clip in chosen.items()} for name, one in found.items()}
