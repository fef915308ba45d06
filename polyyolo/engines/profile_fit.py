"""Whether the shapes of a profile are in order and fit a model."""

import difflib
from collections.abc import Iterator, Mapping

from polyyolo.engines.mistakes import Mistakes
from polyyolo.engines.profile_file import Draft, Optimizations
from polyyolo.records import HeadKind, ModelSpec, ShapeRange, TensorSpec

IMAGE = "*"
LONGEST = 2**31 - 1
"""What TensorRT's 32-bit dimensions take."""
AXES = ("batch", "channels", "height", "width")


def ranges(optimizations: Optimizations, mistakes: Mistakes) -> tuple[Mapping[str, ShapeRange], ...]:
    """Check ranks and min <= opt <= max; ranges in disorder go to ``mistakes`` and are left out."""
    return tuple(
        {
            name: ShapeRange(draft.min, draft.opt, draft.max)
            for name, draft in inputs.items()
            if _in_order(draft, f"{_place(optimizations, index)}{name}", mistakes)
        }
        for index, inputs in enumerate(optimizations)
    )


def fitted(optimizations: Optimizations, spec: ModelSpec, mistakes: Mistakes) -> Optimizations:
    """Name the image input where ``*`` stood, give inputs of fixed shape their own, and check all against the model."""
    return tuple(
        _fitted(inputs, spec, _place(optimizations, index), mistakes) for index, inputs in enumerate(optimizations)
    )


def _place(optimizations: Optimizations, index: int) -> str:
    return f"[[profile]] number {index}, " if len(optimizations) > 1 else ""


def _in_order(draft: Draft, where: str, mistakes: Mistakes) -> bool:
    if not len(draft.min) == len(draft.opt) == len(draft.max):
        mistakes.add(
            f"{where}: min, opt and max have {len(draft.min)}, {len(draft.opt)} and {len(draft.max)} axes",
            "give min, opt and max the same number of axes, N, C, H, W for pictures",
        )
        return False
    disordered = [
        (axis, bounds)
        for axis, bounds in enumerate(zip(draft.min, draft.opt, draft.max, strict=True))
        if not 1 <= bounds[0] <= bounds[1] <= bounds[2]
    ]
    for axis, (low, mid, high) in disordered:
        mistakes.add(
            f"{where}: {_axis(axis, draft)} goes {low} -> {mid} -> {high}",
            "put them in order: TensorRT needs 1 <= min <= opt <= max on every axis",
        )
    for axis, longest in enumerate(draft.max):
        if longest > LONGEST:
            mistakes.add(f"{where}: {_axis(axis, draft)} reaches {longest}", f"TensorRT takes {LONGEST} at most")
    return not disordered


def _fitted(inputs: Mapping[str, Draft], spec: ModelSpec, place: str, mistakes: Mistakes) -> Mapping[str, Draft]:
    if IMAGE in inputs and spec.image in inputs:
        mistakes.add(f'{place}both "*" and {spec.image} are given: they are the same input', "keep one of the two")
    named = {spec.image if name == IMAGE else name: draft for name, draft in inputs.items()}
    tensors = {tensor.name: tensor for tensor in spec.inputs}
    for name in (name for name in named if name not in tensors):
        meant = difflib.get_close_matches(name, tensors, n=1)
        mistakes.add(
            f"{place}the model has no input {name!r}" + (f"; did you mean {meant[0]!r}?" if meant else ""),
            f'its inputs are {", ".join(tensors)}; "*" stands for {spec.image}',
        )
    return {
        name: draft
        for name, tensor in tensors.items()
        for draft in _checked(named.get(name), tensor, spec, place, mistakes)
    }


def _checked(
    draft: Draft | None, tensor: TensorSpec, spec: ModelSpec, place: str, mistakes: Mistakes
) -> Iterator[Draft]:
    if draft is None:
        yield from _own_shape(tensor, place, mistakes)
        return
    rank = len(tensor.dims)
    if any(len(shape) != rank for shape in (draft.min, draft.opt, draft.max)):
        if len(draft.min) == len(draft.opt) == len(draft.max):  # else told by ranges()
            mistakes.add(
                f"{place}{tensor.name} has {rank} axes in the model ({_told(tensor.dims)}), {len(draft.min)} here",
                f"give {tensor.name} shapes of {rank} axes",
            )
    else:
        for axis, dim in enumerate(tensor.dims):
            _check_axis(axis, dim, draft, f"{place}{tensor.name}", mistakes)
        if tensor.name == spec.image:
            _check_picture(draft, tensor, spec, f"{place}{tensor.name}", mistakes)
    yield draft


def _own_shape(tensor: TensorSpec, place: str, mistakes: Mistakes) -> Iterator[Draft]:
    shape = tuple(dim for dim in tensor.dims if isinstance(dim, int))
    if len(shape) == len(tensor.dims):
        yield Draft(shape, shape, shape)
        return
    mistakes.add(
        f"{place}{tensor.name} has open axes ({_told(tensor.dims)}) and no shape here",
        f"give {tensor.name} min, opt and max",
    )


def _check_axis(axis: int, dim: int | str, draft: Draft, where: str, mistakes: Mistakes) -> None:
    given = (draft.min[axis], draft.opt[axis], draft.max[axis])
    if isinstance(dim, int) and given != (dim, dim, dim):
        told = str(given[0]) if len(set(given)) == 1 else " -> ".join(str(size) for size in given)
        mistakes.add(
            f"{where}: {_axis(axis, draft)} is fixed at {dim} in the model, {told} here",
            "write the model's numbers there, or leave --profile out; polyyolo surgeon shape opens batch and size",
        )


def _check_picture(draft: Draft, tensor: TensorSpec, spec: ModelSpec, where: str, mistakes: Mistakes) -> None:
    open_axes = [axis for axis, dim in enumerate(tensor.dims) if isinstance(dim, str)]
    if 1 in open_axes and draft.min[1] != draft.max[1]:
        mistakes.add(
            f"{where}: the number of channels goes {draft.min[1]} -> {draft.max[1]}",
            "a model is trained for one number of channels: give min, opt and max the same",
        )
    if spec.head.kind is HeadKind.NONE:
        return
    for axis in sorted({2, 3} & set(open_axes)):
        odd = sorted({size for size in (draft.min[axis], draft.opt[axis], draft.max[axis]) if size % spec.stride})
        if odd:
            near = max(1, round(odd[0] / spec.stride)) * spec.stride
            mistakes.add(
                f"{where}: {_axis(axis, draft)} {', '.join(map(str, odd))} is no multiple of the stride {spec.stride}",
                f"use multiples of {spec.stride} for height and width, as {near}",
            )


def _axis(axis: int, draft: Draft) -> str:
    return f"axis {axis} ({AXES[axis]})" if len(draft.opt) == len(AXES) else f"axis {axis}"


def _told(dims: tuple[int | str, ...]) -> str:
    return "x".join(str(dim) for dim in dims)
