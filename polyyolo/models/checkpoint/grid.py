"""Where the cells of a map lie: constants in a static graph, computed from the map's shape in a dynamic one."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from attrs import frozen

from polyyolo.models.checkpoint.graph import Feature, Graph
from polyyolo.models.checkpoint.modules import Module


@frozen
class Layout:
    """How a grid is laid out.

    Attributes:
        flat: the shape of one coordinate, with -1 for the cells, row by row.
        axis: where x and y are joined.
        offset: added to the whole numbers.
    """

    flat: tuple[int, ...]
    axis: int
    offset: float


def grid(graph: Graph, module: Module, features: Sequence[Feature], layout: Layout) -> str:
    """Give the name of a float tensor with the (x, y) of every cell of these maps, in cells of its own map."""
    if graph.canvas.dynamic:
        cells = [_computed(graph, module, feature, layout) for feature in features]
        return cells[0] if len(cells) == 1 else graph.concat(module, cells, layout.flat.index(-1))
    constants = [_constant(graph.canvas.cells(feature.stride), layout) for feature in features]
    name = "_".join(str(feature.stride) for feature in features)
    return graph.constant(f"{module.path}.grid.{name}", np.concatenate(constants, layout.flat.index(-1)))


def _constant(size: tuple[int, int], layout: Layout) -> npt.NDArray[np.float64]:
    rows, columns = np.mgrid[: size[0], : size[1]]
    return np.concatenate([axis.reshape(layout.flat) for axis in (columns, rows)], layout.axis) + layout.offset


def strides(graph: Graph, module: Module, features: Sequence[Feature]) -> str:
    """Give the name of a (1, 1, cells of all maps) float tensor with each cell's stride in pixels."""
    if graph.canvas.dynamic:
        return graph.concat(module, [_filled(graph, module, feature) for feature in features], 2)
    sizes = [graph.canvas.cells(feature.stride) for feature in features]
    values = [np.full((1, 1, height * width), f.stride) for f, (height, width) in zip(features, sizes, strict=True)]
    return graph.constant(f"{module.path}.strides", np.concatenate(values, 2))


def _computed(graph: Graph, module: Module, feature: Feature, layout: Layout) -> str:
    size = _cut_shape(graph, module, feature.name, 2, 4)
    axes = []
    for index, spread in ((1, (1, -1)), (0, (-1, 1))):
        length = graph.add(
            module, "Gather", [size, graph.constant(f"{module.path}.at_{index}", index, np.int64)], axis=0
        )
        whole = graph.add(module, "Range", [_whole(graph, 0), length, _whole(graph, 1)])
        line = graph.reshape(module, graph.add(module, "Cast", [whole], to=1), *spread)
        axes.append(graph.reshape(module, graph.add(module, "Expand", [line, size]), *layout.flat))
    cells = graph.concat(module, axes, layout.axis)
    return graph.add(module, "Add", [cells, graph.constant(f"{module.path}.offset", layout.offset)])


def _filled(graph: Graph, module: Module, feature: Feature) -> str:
    """Spread one map's stride over its cells."""
    flat = graph.reshape(module, feature.name, 0, feature.channels, -1)
    count = _cut_shape(graph, module, flat, 2, 3)
    shape = graph.concat(module, [graph.integers(module, 1, 1), count], 0)
    return graph.add(
        module, "Expand", [graph.constant(f"{module.path}.stride.{feature.stride}", feature.stride), shape]
    )


def _cut_shape(graph: Graph, module: Module, tensor: str, start: int, end: int) -> str:
    shape = graph.add(module, "Shape", [tensor])
    return graph.add(
        module, "Slice", [shape, graph.integers(module, start), graph.integers(module, end), graph.integers(module, 0)]
    )


def _whole(graph: Graph, value: int) -> str:
    return graph.constant(f"whole.{value}", value, np.int64)
