"""The blocks that YOLOv5 and Ultralytics' models are made of, each as its own code computes it."""

from collections.abc import Sequence

import numpy as np

from polyyolo.models.checkpoint.folding import folded, norm_of
from polyyolo.models.checkpoint.graph import Feature, Graph
from polyyolo.models.checkpoint.layers import convolved, only
from polyyolo.models.checkpoint.modules import Module


def bottleneck(graph: Graph, module: Module, inputs: Sequence[Feature]) -> Feature:
    """``Bottleneck``: cv2(cv1(x)), plus x where ``add`` says so."""
    feature = only(module, inputs)
    inner = graph.run(module.child("cv2"), graph.run(module.child("cv1"), feature))
    return graph.sum(module, feature, inner) if module.flag("add") else inner


def c3(graph: Graph, module: Module, inputs: Sequence[Feature]) -> Feature:
    """``C3`` and ``C3k``: cv3([m(cv1(x)), cv2(x)])."""
    feature = only(module, inputs)
    deep = graph.run(module.child("m"), graph.run(module.child("cv1"), feature))
    return graph.run(module.child("cv3"), graph.join(module, [deep, graph.run(module.child("cv2"), feature)]))


def bottleneck_csp(graph: Graph, module: Module, inputs: Sequence[Feature]) -> Feature:
    """``BottleneckCSP``: cv4(act(bn([cv3(m(cv1(x))), cv2(x)]))).

    The batch norm lies on the joined map, so each half of it is folded into the bare convolution that makes that half.
    """
    feature = only(module, inputs)
    deep = graph.run(module.child("m"), graph.run(module.child("cv1"), feature))
    norm = norm_of(module.child("bn"))
    half = len(module.child("cv3").array("weight"))
    left = folded(module.child("cv3"), norm.part(slice(half)))
    right = folded(module.child("cv2"), norm.part(slice(half, None)))
    halves = [
        convolved(graph, module.child("cv3"), deep, left),
        convolved(graph, module.child("cv2"), feature, right),
    ]
    return graph.run(module.child("cv4"), graph.run(module.child("act"), graph.join(module, halves)))


def c2f(graph: Graph, module: Module, inputs: Sequence[Feature]) -> Feature:
    """``C2f`` and ``C3k2``: cv1 gives two halves, each block of m takes what came last, cv2 takes all of them."""
    first = graph.run(module.child("cv1"), only(module, inputs))
    parts = list(graph.halve(module, first, first.channels // 2))
    for block in module.child("m").children():
        parts.append(graph.run(block, parts[-1]))
    return graph.run(module.child("cv2"), graph.join(module, parts))


def spp(graph: Graph, module: Module, inputs: Sequence[Feature]) -> Feature:
    """``SPP``: cv2 of cv1's map and of each pooling of it."""
    first = graph.run(module.child("cv1"), only(module, inputs))
    pooled = [graph.run(pool, first) for pool in module.child("m").children()]
    return graph.run(module.child("cv2"), graph.join(module, [first, *pooled]))


def sppf(graph: Graph, module: Module, inputs: Sequence[Feature]) -> Feature:
    """``SPPF``: one pooling n times after itself (3 where unsaid), and a shortcut where ``add``."""
    feature = only(module, inputs)
    parts = [graph.run(module.child("cv1"), feature)]
    for _ in range(min(module.integer("n", 3), 16)):
        parts.append(graph.run(module.child("m"), parts[-1]))
    result = graph.run(module.child("cv2"), graph.join(module, parts))
    return graph.sum(module, result, feature) if module.flag("add") else result


def c2psa(graph: Graph, module: Module, inputs: Sequence[Feature]) -> Feature:
    """``C2PSA``: cv1 gives two halves, the second goes through m, cv2 takes both."""
    first = graph.run(module.child("cv1"), only(module, inputs))
    left, right = graph.halve(module, first, module.integer("c"))
    return graph.run(module.child("cv2"), graph.join(module, [left, graph.run(module.child("m"), right)]))


def psa_block(graph: Graph, module: Module, inputs: Sequence[Feature]) -> Feature:
    """``PSABlock``: attention, then a feed-forward pair of convolutions, each with a shortcut where ``add``."""
    feature = only(module, inputs)
    for name in ("attn", "ffn"):
        inner = graph.run(module.child(name), feature)
        feature = graph.sum(module, feature, inner) if module.flag("add") else inner
    return feature


def attention(graph: Graph, module: Module, inputs: Sequence[Feature]) -> Feature:
    """``Attention``: softmax(q^T k / sqrt(key_dim)) over all cells, per head, plus a depthwise position term of v."""
    feature = only(module, inputs)
    heads, key, value = (module.integer(name) for name in ("num_heads", "key_dim", "head_dim"))
    mixed = graph.run(module.child("qkv"), feature)
    if min(heads, key, value) < 1 or (heads * (2 * key + value), heads * value) != (mixed.channels, feature.channels):
        raise module.unusable(f"{heads} heads of {key} + {key} + {value} do not make {mixed.channels} channels")
    flat = graph.reshape(module, mixed.name, 0, heads, 2 * key + value, -1)
    queries, keys, values = graph.cut(module, flat, (key, key, value), 2)
    factor = graph.constant(f"{module.path}.scale", np.float32(module.number("scale")))
    rows = graph.add(module, "Transpose", [graph.add(module, "Mul", [queries, factor])], perm=[0, 1, 3, 2])
    weights = graph.add(module, "Softmax", [graph.add(module, "MatMul", [rows, keys])], axis=3)
    columns = graph.add(module, "Transpose", [weights], perm=[0, 1, 3, 2])
    attended = _as_map(graph, module, graph.add(module, "MatMul", [values, columns]), feature)
    position = graph.run(module.child("pe"), _as_map(graph, module, values, feature))
    return graph.run(module.child("proj"), graph.sum(module, attended, position))


def _as_map(graph: Graph, module: Module, tensor: str, like: Feature) -> Feature:
    """Fold (B, heads, channels / heads, cells) into the shape of ``like``."""
    if graph.canvas.dynamic:
        name = graph.add(module, "Reshape", [tensor, graph.add(module, "Shape", [like.name])])
    else:
        name = graph.reshape(module, tensor, 0, like.channels, *graph.canvas.cells(like.stride))
    return Feature(name, like.channels, like.stride)
