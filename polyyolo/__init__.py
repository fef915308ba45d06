"""polyyolo: a YOLO model and a folder of pictures in, a proven INT8 TensorRT engine out."""

__version__ = "0.1.0"
