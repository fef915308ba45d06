"""Which releases of other packages are installed: what they compute may differ between two of them."""

import importlib.metadata
import re
from collections.abc import Mapping, Sequence
from functools import cache

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
"""Packages that figures of a run come from, by their normalised names."""


def normal(name: str) -> str:
    """Spell a distribution's name in the one way that can be compared, after PEP 503."""
    return re.sub(r"[-_.]+", "-", name).lower()


def versions() -> Mapping[str, str]:
    """Read what is installed: normalised name -> version; the first on the path counts, as for an import."""
    found: dict[str, str] = {}
    for each in importlib.metadata.distributions():
        name, version = each.metadata["Name"], each.metadata["Version"]
        if name and version:  # a package that is half removed has neither
            found.setdefault(normal(name), version)
    return found


@cache
def versions_of(packages: Sequence[str] = COMPUTING) -> Mapping[str, str]:
    """Give the version of each of these packages that is installed."""
    found = versions()
    return {package: found[package] for package in packages if package in found}


def version_of(*distributions: str) -> str:
    """Read the version of whichever is installed, without importing it: TensorRT's import takes seconds."""
    installed = (found.version for name in distributions for found in importlib.metadata.distributions(name=name))
    return next(installed, "")
