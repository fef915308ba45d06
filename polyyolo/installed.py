"""Which releases of other packages are installed: what they compute may differ between two of them."""

from collections.abc import Mapping, Sequence
from functools import cache
from importlib import metadata

COMPUTING = (
    "numpy",
    "onnx",
    "onnx-graphsurgeon",
    "onnxruntime",
    "onnxruntime-gpu",
    "onnxslim",
    "opencv-contrib-python",
    "opencv-contrib-python-headless",
    "opencv-python",
    "opencv-python-headless",
)
"""Packages that figures of a run come from."""


@cache
def versions(packages: Sequence[str] = COMPUTING) -> Mapping[str, str]:
    """Give the version of each of these packages that is installed."""
    installed = {each.name.lower(): each.version for each in metadata.distributions() if each.name}
    return {package: installed[package] for package in packages if package in installed}
