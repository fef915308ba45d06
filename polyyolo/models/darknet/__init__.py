"""darknet's models: a .cfg that tells the layers and a .weights that holds the numbers, turned into ONNX."""

from polyyolo.models.darknet.convert import convert

__all__ = ["convert"]
