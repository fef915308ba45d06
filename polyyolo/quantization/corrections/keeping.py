"""Corrected weights in a file: a step of a run that need not be done again."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from polyyolo import files
from polyyolo.quantization.insertion import Weights

_KINDS = ("scales", "levels", "bias")


def save(weights: Mapping[str, Weights], path: Path) -> None:
    """Write weights, by node identity, as a compressed .npz, whole or not at all."""
    arrays: dict[str, NDArray[np.generic]] = {"names": np.array(list(weights))}
    for index, each in enumerate(weights.values()):
        arrays |= {f"{index}_{kind}": getattr(each, kind) for kind in _KINDS if getattr(each, kind) is not None}
    with files.replacing(path) as temporary, temporary.open("wb") as stream:
        np.savez_compressed(stream, **arrays)  # type: ignore[arg-type]


def read(path: Path) -> dict[str, Weights]:
    """Read what ``save`` wrote; a run's folder vouches for the file by its hash."""
    with np.load(path, allow_pickle=False) as stored:
        names = [str(name) for name in stored["names"]]
        return {name: Weights(**_kept(stored, index)) for index, name in enumerate(names)}


def _kept(stored: Mapping[str, Any], index: int) -> dict[str, Any]:
    return {kind: stored[f"{index}_{kind}"] for kind in _KINDS if f"{index}_{kind}" in stored}
