"""Read darknet's .weights: a header, then float32 numbers in the order of the cfg's convolutions."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import numpy as np
from attrs import frozen
from numpy.typing import NDArray

from polyyolo.errors import ModelError
from polyyolo.models.darknet.layers import Convolution
from polyyolo.models.darknet.network import Network

EPSILON = 1e-5  # darknet adds it to the variance under the root: .00001f in its CPU and GPU code
ONNX_LIMIT = 2_000_000_000  # bytes; a protobuf message, and so an ONNX file, ends at 2 GiB
VERSION_LIMIT = 1000  # darknet's own test for a header that is none

Array = NDArray[np.float32]


@frozen
class Header:
    """The first bytes of a weights file.

    Attributes:
        length: of the header in bytes: the count of pictures seen has 8 bytes from version 0.2 on, 4 before.
    """

    major: int
    minor: int
    revision: int
    length: int


def read_header(stream: BinaryIO, path: Path) -> Header:
    """Read version numbers, each a little-endian int32.

    Raises:
        ModelError: the file ends before, or holds numbers that darknet never wrote.
    """
    start = stream.read(12)
    if len(start) < 12:
        raise ModelError(f"{path} has {len(start)} bytes: too short for a header", fix="get the weights file again")
    major, minor, revision = (int(number) for number in np.frombuffer(start, "<i4"))
    if not (0 <= major < VERSION_LIMIT and 0 <= minor < VERSION_LIMIT and revision >= 0):
        raise ModelError(
            f"{path} says version {major}.{minor}.{revision}: not a darknet weights file",
            fix="name the .weights file that belongs to the cfg",
        )
    return Header(major, minor, revision, 20 if major * 10 + minor >= 2 else 16)


def check_length(path: Path, network: Network) -> Header:
    """Make sure that the file holds as many numbers as the network takes, before any is read.

    Raises:
        ModelError: it cannot be read, or is too short, too long or too large for an ONNX file.
    """
    with _opened(path) as stream:
        header = read_header(stream, path)
        there = stream.seek(0, 2) - header.length
    wanted = 4 * network.floats
    if there != wanted:
        word = "short" if there < wanted else "long"
        raise ModelError(
            f"{path} is too {word}: {there / 4:,.10g} weights where the cfg takes {network.floats:,}",
            fix="use the cfg that these weights were trained with, or get the weights again",
        )
    if wanted > ONNX_LIMIT:
        raise ModelError(
            f"{path} has {wanted:,} bytes of weights: more than one ONNX file holds", fix="use a smaller model"
        )
    return header


def read_weights(path: Path, network: Network) -> Iterator[tuple[Array, Array]]:
    """Yield (kernel, bias) of each convolution in order, batch normalisation folded in.

    The kernel has the shape (out, in / groups, height, width), the bias (out,); both float32.

    Raises:
        ModelError: the file is not what ``check_length`` saw, or holds numbers that are not finite.
    """
    header = check_length(path, network)
    with _opened(path) as stream:
        stream.seek(header.length)
        for index, layer in enumerate(network.layers):
            if isinstance(layer, Convolution):
                yield _folded(stream, layer, index)


def _folded(stream: BinaryIO, layer: Convolution, index: int) -> tuple[Array, Array]:
    """Read one layer: bias, then scale, mean and variance where it is normalised, then the kernel."""
    bias = _take(stream, layer.filters)
    normalisation = [_take(stream, layer.filters) for _ in range(3 if layer.batch_normalize else 0)]
    kernel = _take(stream, int(np.prod(layer.kernel))).reshape(layer.kernel)
    if not all(np.isfinite(numbers).all() for numbers in (bias, kernel, *normalisation)):
        raise _damaged(index, "numbers that are not finite")
    if not normalisation:
        return kernel, bias
    scale, mean, variance = (numbers.astype(np.float64) for numbers in normalisation)
    if variance.min() < 0:
        raise _damaged(index, "a variance below zero")
    factor = scale / np.sqrt(variance + EPSILON)
    with np.errstate(over="ignore"):  # refused on the next line
        folded = (kernel * factor[:, None, None, None]).astype(np.float32), (bias - mean * factor).astype(np.float32)
    if not all(np.isfinite(numbers).all() for numbers in folded):
        raise _damaged(index, "numbers that grow beyond float32 when the batch normalisation is folded")
    return folded


def _damaged(index: int, what: str) -> ModelError:
    return ModelError(f"the weights hold {what} in layer {index}", fix="get the weights file again")


def _take(stream: BinaryIO, count: int) -> Array:
    data = stream.read(4 * count)
    if len(data) != 4 * count:
        raise ModelError("the weights file became shorter while it was read", fix="try again when nothing writes to it")
    return np.frombuffer(data, "<f4")


@contextmanager
def _opened(path: Path) -> Iterator[BinaryIO]:
    try:
        with path.open("rb") as stream:
            yield stream
    except OSError as error:
        raise ModelError(f"cannot read {path}: {error.strerror}", fix="check the path") from error
