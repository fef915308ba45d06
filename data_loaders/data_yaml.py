"""Feed the training pictures of a YOLO dataset, as its data.yaml names them.

    polygraphy convert best.onnx --int8 --data-loader-script data_loaders/data_yaml.py -o best.plan
    polygraphy run best.onnx --onnxrt --data-loader-script data_loaders/data_yaml.py

The dataset is ./data.yaml, or where POLYYOLO_IMAGES says. Calibrate with ``train``, so that ``val`` stays clean for
measuring the accuracy that is left; POLYYOLO_SPLIT names another key.
"""

from polyyolo.calibration.feeder import Feeder
from polyyolo.loader import feed


def load_data() -> Feeder:
    """Yield {input name: (B, 3, H, W)} as often as Polygraphy asks."""
    return feed(images="data.yaml", split="train", count="300", fit="letterbox")
