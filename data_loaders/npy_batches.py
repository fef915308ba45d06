"""Feed tensors that your own pipeline saved: an .npy of shape (N, 3, H, W), read from disk entry by entry.

    numpy.save("calibration.npy", tensors)     # float32 as the model takes them, or uint8 RGB 0 to 255
    polygraphy convert model.onnx --int8 --data-loader-script data_loaders/npy_batches.py -o model.plan
    polygraphy run model.onnx --onnxrt --data-loader-script data_loaders/npy_batches.py

The file is ./calibration.npy, or where POLYYOLO_IMAGES says. Floating point entries are fed as they are; uint8 ones
are scaled first. Height and width of the file serve a model that leaves them open.
"""

from polyyolo.calibration.feeder import Feeder
from polyyolo.loader import feed


def load_data() -> Feeder:
    """Yield {input name: (B, C, H, W)} as often as Polygraphy asks."""
    return feed(images="calibration.npy", count="300")
