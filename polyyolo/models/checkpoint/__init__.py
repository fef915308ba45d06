"""Checkpoints of YOLOv5 and Ultralytics' models, read without torch and turned into ONNX."""

from polyyolo.models.checkpoint.convert import convert

__all__ = ["convert"]
