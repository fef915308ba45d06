"""How fast boxes are read from YOLOv5s' real outputs: decode, NMS and matching on one core, inference apart.

Run as ``python benchmarks/decode_speed.py [MODEL.onnx] [FOLDER]``; the shared model and pictures are the defaults.
"""

import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from polyyolo.images.letterbox import Fit
from polyyolo.images.presets import preprocessing_for
from polyyolo.images.sources import find_pictures
from polyyolo.models.own_size import own_size
from polyyolo.models.spec import read_spec
from polyyolo.records import Head
from polyyolo.verification.agreement import match
from polyyolo.verification.boxes import Array
from polyyolo.verification.inference import DISPLAY, EVALUATION, Runner, Selection, batches, find

SHARED = Path(os.environ.get("POLYYOLO_SHARED", Path(__file__).resolve().parents[2] / "shared"))
PICTURES = 24
GOALS = {DISPLAY: 40, EVALUATION: 10}

Output = tuple[dict[str, Array], list[Fit]]


def main(model: Path, folder: Path) -> None:
    """Print pictures a second for both settings."""
    head, outputs = real_outputs(model, folder)
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    for selection, goal in GOALS.items():
        rate = max(pictures_a_second(head, outputs, selection) for _ in range(3))
        print(f"confidence {selection.confidence}: {rate:.0f} pictures/s on one core (goal: {goal})")


def real_outputs(model: Path, folder: Path) -> tuple[Head, list[Output]]:
    """Run the model once over some pictures and keep what comes out."""
    spec = read_spec(model)
    height, width = own_size(spec)
    pictures = find_pictures(folder)[:PICTURES]
    with Runner(spec) as runner:
        stream = batches(pictures, preprocessing_for(spec, (height, width)), 1, "infer")
        return spec.head, [(runner.infer(tensors), fits) for tensors, fits in stream]


def pictures_a_second(head: Head, outputs: Sequence[Output], selection: Selection) -> float:
    """Time decode, NMS and matching against the same picture's own boxes, the most there can be to match."""
    start = time.perf_counter()
    for output, fits in outputs:
        for boxes in find(output, head, fits, selection):
            match(boxes, boxes, 0.5)
    return len(outputs) / (time.perf_counter() - start)


if __name__ == "__main__":
    given = [Path(argument) for argument in sys.argv[1:]]
    defaults = [SHARED / "models" / "yolov5s-640.onnx", SHARED / "data" / "coco128-val" / "images"]
    main(*(given + defaults[len(given) :]))
