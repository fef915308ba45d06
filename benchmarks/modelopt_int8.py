"""ModelOpt's INT8 of a model, timed; runs where nvidia-modelopt is, which is not where polyyolo is.

Run as ``PYTHON benchmarks/modelopt_int8.py MODEL PICTURES.npy METHOD OUTPUT EXCLUDED.json``: pictures ready to be fed,
(N, 3, H, W) float32, one at a time; EXCLUDED holds the names of nodes that stay in float.
"""

import json
import re
import sys
import time
from pathlib import Path

import numpy as np
import onnx
from modelopt.onnx.quantization import quantize
from numpy.typing import NDArray
from onnxruntime.quantization.calibrate import CalibrationDataReader, HistogramCalibrater
from stopwatch import Stopwatch


class Reader(CalibrationDataReader):  # type: ignore[misc] # ONNX Runtime has no types
    """Pictures one by one, noting when calibration began and when it had them all."""

    def __init__(self, image: str, pictures: NDArray[np.float32]) -> None:
        self.began = self.ended = 0.0
        self._feeds = ({image: pictures[index : index + 1]} for index in range(len(pictures)))

    def get_next(self) -> dict[str, NDArray[np.float32]] | None:
        """Give one picture, or None at the end."""
        self.began = self.began or time.perf_counter()
        feed = next(self._feeds, None)
        self.ended = time.perf_counter()
        return feed


def main(model: Path, pictures: Path, method: str, output: Path, excluded: Path) -> None:
    """Quantize, with FP32 for the rest so that INT8 alone makes the difference."""
    image = onnx.load(model).graph.input[0].name
    reader = Reader(image, np.load(pictures, mmap_mode="r"))
    searched = _end_of_search()
    with Stopwatch() as watch:
        quantize(
            str(model),
            quantize_mode="int8",
            calibration_method=method,
            calibration_data_reader=reader,
            calibration_eps=["cpu"],
            nodes_to_exclude=[f"^{re.escape(name)}$" for name in json.loads(excluded.read_text("utf-8"))],
            high_precision_dtype="fp32",
            output_path=str(output),
            log_level="ERROR",
        )
    watch.tell(calibration_seconds=round(max([reader.ended, *searched]) - reader.began, 3))


def _end_of_search() -> list[float]:
    """Note when the search for thresholds ends, which follows the last picture."""
    ended: list[float] = []
    search = HistogramCalibrater.compute_data

    def noted(calibrator: HistogramCalibrater) -> object:
        found = search(calibrator)
        ended.append(time.perf_counter())
        return found

    HistogramCalibrater.compute_data = noted
    return ended


if __name__ == "__main__":
    source, data, wanted, target, spared = sys.argv[1:]
    main(Path(source), Path(data), wanted, Path(target), Path(spared))
