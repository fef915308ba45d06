"""Feed a folder of pictures the way YOLOv5, v8 and v11 were trained: letterboxed, grey 114, RGB, 0 to 1.

    polygraphy convert yolov8n.onnx --int8 --data-loader-script data_loaders/letterbox_folder.py -o yolov8n.plan
    polygraphy run yolov8n.onnx --onnxrt --data-loader-script data_loaders/letterbox_folder.py

The pictures are those in ./images, or where POLYYOLO_IMAGES says. A model with open height and width also needs
POLYYOLO_SIZE=640. Every setting of polyyolo/loader.py can be set here or in the environment, which wins.
"""

from polyyolo.calibration.feeder import Feeder
from polyyolo.loader import feed


def load_data() -> Feeder:
    """Yield {input name: (B, 3, H, W)} as often as Polygraphy asks."""
    return feed(images="images", count="300", fit="letterbox", pad="114", colour="rgb", scale="1/255")
