"""One way to go through calibration pictures, timed: calibration_speed.py runs each in a process of its own.

Run as ``python benchmarks/calibrators.py WAY MODEL IMAGES COUNT [PICTURES]``; the COUNT pictures are repeated until
there are PICTURES. Reading and letterboxing of the pictures is part of the time.
"""

import sys
from collections.abc import Iterator
from itertools import cycle, islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from attrs import evolve
from numpy.typing import NDArray
from onnxruntime.quantization import CalibrationDataReader, CalibrationMethod
from onnxruntime.quantization.calibrate import create_calibrator
from stopwatch import Stopwatch

from polyyolo.calibration.table import calibrate
from polyyolo.calibration.thresholds import DEFAULT
from polyyolo.images.choose import choose
from polyyolo.images.presets import preprocessing_for
from polyyolo.images.stream import batches
from polyyolo.models.own_size import own_size
from polyyolo.models.runtime import open_session
from polyyolo.models.spec import read_spec
from polyyolo.quantization.placement import FloatBudget
from polyyolo.quantization.quantize import placement_of
from polyyolo.records import CalibrationSet, ModelSpec
from polyyolo.verification.gauge import look_of

ORT = {f"ort-{method.name.lower()}": method for method in CalibrationMethod if method.name != "Distribution"}


def main(way: str, model: Path, images: Path, count: int, pictures: int) -> None:
    """Choose the pictures, then time the way through them."""
    spec = read_spec(model)
    chosen = repeated(chosen_from(spec, images, count), pictures)
    tensors = placement_of(spec, chosen.preprocessing.size, FloatBudget()).measured
    with TemporaryDirectory() as folder, Stopwatch() as watch:
        if way == "plain":
            plain(spec, chosen)
        elif way == "polyyolo":
            calibrate(spec, chosen, tensors, DEFAULT, Path(folder) / "histograms.npz", look=look_of(spec.head))
        else:
            onnx_runtimes_own(spec, chosen, ORT[way], Path(folder) / "augmented.onnx")
    watch.tell(tensors=len(tensors))


def chosen_from(spec: ModelSpec, images: Path, count: int, seed: int = 0) -> CalibrationSet:
    """Choose pictures of the model's own size; models without one get that of their export, else 640."""
    height, width = own_size(spec)
    return choose(images, preprocessing_for(spec, (height, width)), count=count, batch=1, seed=seed)


def repeated(chosen: CalibrationSet, pictures: int) -> CalibrationSet:
    """Take the same pictures again and again until there are enough."""
    return evolve(chosen, sources=tuple(islice(cycle(chosen.sources), pictures)))


def plain(spec: ModelSpec, chosen: CalibrationSet) -> None:
    """Run the model over the pictures and keep nothing: what no calibration can be faster than."""
    session = open_session(spec.path)
    for batch in batches(chosen):
        session.run(None, {spec.image: batch})


class Reader(CalibrationDataReader):  # type: ignore[misc] # ONNX Runtime has no types
    """Pictures as ONNX Runtime's quantization wants them."""

    def __init__(self, spec: ModelSpec, chosen: CalibrationSet) -> None:
        self._feeds: Iterator[dict[str, NDArray[np.generic]]] = ({spec.image: batch} for batch in batches(chosen))

    def get_next(self) -> dict[str, NDArray[np.generic]] | None:
        """Give one batch, or None at the end."""
        return next(self._feeds, None)


def onnx_runtimes_own(spec: ModelSpec, chosen: CalibrationSet, method: CalibrationMethod, scratch: Path) -> None:
    """Calibrate inputs and outputs of convolutions, which is what ``op_types_to_calibrate`` means by them."""
    options: dict[str, Any] = {"symmetric": True}
    calibrator = create_calibrator(
        spec.path, ["Conv"], augmented_model_path=str(scratch), calibrate_method=method, extra_options=options
    )
    calibrator.set_execution_providers(["CPUExecutionProvider"])
    calibrator.collect_data(Reader(spec, chosen))
    calibrator.compute_data()


if __name__ == "__main__":
    name, model_file, folder_of_images, number, *total = sys.argv[1:]
    main(name, Path(model_file), Path(folder_of_images), int(number), int(total[0] if total else number))
