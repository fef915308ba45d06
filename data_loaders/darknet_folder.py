"""Feed pictures the way darknet itself reads them: stretched to the network's size, RGB, 0 to 1.

    polygraphy convert yolov4-tiny.onnx --int8 --data-loader-script data_loaders/darknet_folder.py -o yolov4-tiny.plan
    polygraphy run yolov4-tiny.onnx --onnxrt --data-loader-script data_loaders/darknet_folder.py

The pictures are those that ./train.txt names, a path a line, or where POLYYOLO_IMAGES says (a folder will do too).
Use letterbox_folder.py if your program letterboxes at run time: calibrate with what the engine will see.
"""

from polyyolo.calibration.feeder import Feeder
from polyyolo.loader import feed


def load_data() -> Feeder:
    """Yield {input name: (B, 3, H, W)} as often as Polygraphy asks."""
    return feed(images="train.txt", count="300", fit="stretch", colour="rgb", scale="1/255")
