"""darknet in numpy, written apart from the converter: a direct reading of what each layer does."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

LEAKY = 0.1


class NumpyDarknet:
    """Runs a cfg on weights given as one flat array, and returns the maps before each [yolo]."""

    def __init__(self, text: str, numbers: np.ndarray) -> None:
        self.sections = list(_sections(text))
        self.numbers = numbers
        self.used = 0

    def __call__(self, image: np.ndarray) -> list[np.ndarray]:
        maps, heads = [], []
        self.used = 0
        for kind, options in self.sections[1:]:
            previous = maps[-1] if maps else image
            if kind == "yolo":
                heads.append(previous)
                maps.append(previous)
            else:
                maps.append(getattr(self, kind)(options, previous, maps))
        assert self.used == self.numbers.size
        return heads

    def take(self, *shape: int) -> np.ndarray:
        count = int(np.prod(shape))
        self.used += count
        return self.numbers[self.used - count : self.used].reshape(shape).astype(np.float64)

    def convolutional(self, options, x, _):
        filters, size, groups = (int(options.get(key, 1)) for key in ("filters", "size", "groups"))
        stride = int(options.get("stride", 1))
        pad = size // 2 if int(options.get("pad", 0)) else 0
        bias = self.take(filters)
        if int(options.get("batch_normalize", 0)):
            scale, mean, variance = (self.take(filters) for _ in range(3))
        kernel = self.take(filters, x.shape[1] // groups, size, size)
        x = np.pad(x, ((0, 0), (0, 0), (pad, pad), (pad, pad)))
        height, width = ((side - size) // stride + 1 for side in x.shape[2:])
        result = np.zeros((x.shape[0], filters, height, width))
        ins, outs = x.shape[1] // groups, filters // groups
        for group in range(groups):
            part, rows = x[:, group * ins : (group + 1) * ins], slice(group * outs, (group + 1) * outs)
            for down in range(size):
                for across in range(size):
                    window = part[
                        :, :, down : down + stride * height : stride, across : across + stride * width : stride
                    ]
                    window = window[:, :, :height, :width]
                    result[:, rows] += np.einsum("bchw,oc->bohw", window, kernel[rows, :, down, across], optimize=True)
        if int(options.get("batch_normalize", 0)):
            result = (result - mean[:, None, None]) / np.sqrt(variance + 1e-5)[:, None, None] * scale[:, None, None]
        return _activated(result + bias[:, None, None], options.get("activation", "logistic"))

    def maxpool(self, options, x, _):
        """Follow darknet's loop: windows begin at -(padding // 2), what lies outside counts as -FLT_MAX."""
        stride = int(options.get("stride", 1))
        size = int(options.get("size", stride))
        padding = int(options.get("padding", size - 1))
        height, width = ((side + padding - size) // stride + 1 for side in x.shape[2:])
        result = np.full((*x.shape[:2], height, width), -np.finfo(np.float32).max)
        for row in range(height):
            for column in range(width):
                top, left = row * stride - padding // 2, column * stride - padding // 2
                window = x[:, :, max(top, 0) : top + size, max(left, 0) : left + size]
                result[:, :, row, column] = window.max(axis=(2, 3))
        return result

    def route(self, options, _, maps):
        groups, group = int(options.get("groups", 1)), int(options.get("group_id", 0))
        chosen = [maps[int(number)] for number in options["layers"].split(",")]
        return np.concatenate([np.split(x, groups, axis=1)[group] for x in chosen], axis=1)

    def shortcut(self, options, x, maps):
        total = x + sum(maps[int(number)] for number in options["from"].split(","))
        return _activated(total, options.get("activation", "linear"))

    def upsample(self, options, x, _):
        factor = int(options.get("stride", 2))
        return x.repeat(factor, axis=2).repeat(factor, axis=3)


def _activated(x, name):
    sigmoid = 1 / (1 + np.exp(-np.clip(x, -500, 500)))
    return {
        "linear": lambda: x,
        "leaky": lambda: np.where(x > 0, x, LEAKY * x),
        "relu": lambda: np.maximum(x, 0),
        "logistic": lambda: sigmoid,
        "swish": lambda: x * sigmoid,
        "mish": lambda: x * np.tanh(np.log1p(np.exp(-np.abs(x))) + np.maximum(x, 0)),
    }[name]()


def _sections(text):
    for block in text.split("[")[1:]:
        kind, *lines = block.split("\n")
        bare = [line.split("#")[0].replace(" ", "") for line in lines]
        yield kind.split("]")[0].strip(), dict(line.split("=") for line in bare if "=" in line)


def seeded(count: int, seed: int = 0) -> np.ndarray:
    """Numbers that no layer overflows with; none is below zero where a variance may stand."""
    return (np.random.default_rng(seed).random(count, np.float32) + 0.1).astype(np.float32)


@pytest.fixture
def numpy_darknet() -> type[NumpyDarknet]:
    return NumpyDarknet


@pytest.fixture
def write_model(tmp_path: Path) -> Callable[..., tuple[Path, Path]]:
    """Write a cfg and weights: write_model(text, numbers, header) -> (cfg, weights)."""

    def write(text: str, numbers: np.ndarray, header: bytes | None = None) -> tuple[Path, Path]:
        cfg, weights = tmp_path / "small.cfg", tmp_path / "small.weights"
        cfg.write_text(text)
        usual = np.array([0, 2, 5, 0, 0], "<i4").tobytes()
        weights.write_bytes((usual if header is None else header) + numbers.astype("<f4").tobytes())
        return cfg, weights

    return write
