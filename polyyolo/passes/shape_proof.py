"""Proof that a model whose shape was changed runs, and computes what it did before."""

from collections.abc import Mapping, Sequence

import numpy as np
import onnx

from polyyolo.errors import ModelError
from polyyolo.models.spec import is_quantized
from polyyolo.passes.shape_change import Change, Dims
from polyyolo.passes.trial import Array, outputs_for, pictures

# Of the largest output value: what another batch may change, since sums are then taken in another order. Halves have
# 11 bits, and INT8 can round the other way; what a shape gets wrong is as large as the values themselves.
TOLERANCE = 1e-5
COARSE_TOLERANCE = 5e-2


def prove(old: onnx.ModelProto, new: onnx.ModelProto, change: Change) -> dict[str, Dims]:
    """Run ``new`` at several shapes, compare it with ``old`` where that can run too, and learn the outputs' shapes.

    Raises:
        ModelError: it does not run, or not with the same numbers.
    """
    size = change.trial_size
    fixed = change.before[0] if isinstance(change.before[0], int) else 1
    count = fixed if fixed > 1 or not change.varies_batch else 2
    batch = pictures(new, count, size)
    together = outputs_for(new, batch)
    if not change.frees_size or size == change.before[2:]:
        each = [outputs_for(old, batch[start : start + fixed]) for start in range(0, count, fixed)]
        for name, value in together.items():
            parts = [outputs[name] for outputs in each]
            for_all = len(parts) > 1 and value.shape == parts[0].shape  # no axis of it counts pictures
            expected = parts if for_all else [np.concatenate(parts)]
            for part in expected:
                _compare(name, part, value, _tolerance(old))
    shapes = [_shapes(together)]
    shapes.append(_shapes(outputs_for(new, pictures(new, count + 1, size))) if change.varies_batch else shapes[0])
    open_size = any(isinstance(side, str) for side in change.after[2:])
    other = (size[0] + 64, size[1] + 128)
    shapes.append(_shapes(outputs_for(new, pictures(new, count, other))) if open_size else shapes[0])
    return {name: _dims(name, [each[name] for each in shapes], count, change.after[0]) for name in together}


def _compare(name: str, expected: Array, got: Array, tolerance: float) -> None:
    if expected.shape != got.shape:
        raise ModelError(f"{name} is {got.shape} where it should be {expected.shape}")
    reach = float(np.abs(expected.astype(np.float64)).max(initial=0))
    worst = float(np.abs(expected.astype(np.float64) - got.astype(np.float64)).max(initial=0))
    if worst > tolerance * max(1.0, reach):
        raise ModelError(f"{name} differs by {worst:.3g} from what it was")


def _tolerance(model: onnx.ModelProto) -> float:
    halves = any(tensor.data_type == onnx.TensorProto.FLOAT16 for tensor in model.graph.initializer)
    return COARSE_TOLERANCE if halves or is_quantized(model) else TOLERANCE


def _shapes(outputs: Mapping[str, Array]) -> dict[str, tuple[int, ...]]:
    return {name: value.shape for name, value in outputs.items()}


def _dims(name: str, seen: Sequence[tuple[int, ...]], count: int, batch: int | str) -> Dims:
    """Tell which axes follow the batch or the size from the shapes at (batch, size), another batch, another size."""
    dims: list[int | str] = []
    for axis, (usual, more, larger) in enumerate(zip(*seen, strict=True)):
        if more != usual:
            dims.append(
                batch * usual // count if isinstance(batch, int) else batch if usual == count else f"{name}_{axis}"
            )
        else:
            dims.append(usual if larger == usual else f"{name}_{axis}")
    return tuple(dims)
