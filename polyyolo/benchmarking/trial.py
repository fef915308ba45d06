"""With which shapes an engine can be tried whose range nothing tells, and what a try tells of that range.

trtexec before 9.0 prints no profiles. Where an input's shape is not told, it makes 1 of every open axis
(setUpInference in its sampleInference.cpp), which an engine of open height and width refuses.
"""

from collections.abc import Mapping, Sequence

from polyyolo.benchmarking.shapes import UNBOUNDED, Shapes, points, read
from polyyolo.errors import InputError
from polyyolo.models.own_size import USUAL_SIZE
from polyyolo.records import ShapeRange

AXES = ("batch", "channels", "height", "width")


def trial(made_up: Shapes, batches: Sequence[int], asked: Sequence[str]) -> Shapes:
    """Give the shapes to try next: of what is asked for, the first.

    Args:
        made_up: input name -> shape with 1 for each open axis; the last one was refused, inputs behind it are unknown.
        batches: as ``points`` takes them.
        asked: likewise.

    Raises:
        InputError: nothing that is asked for tells the shape that was refused.
    """
    told = {name: shape for name, shape in (read(asked[0]) if asked else ()) if name}
    known = {name: opened(tuple(1 for _ in shape)) for name, shape in told.items()}
    known |= {name: opened(shape) for name, shape in made_up.items()}
    refused = list(made_up)[-1]
    if refused not in told and not (asked and len(known) == 1):
        _refuse_untold(refused, made_up[refused], batches)
    [point] = points([known], batches[:1], asked[:1])
    return point.shapes


def opened(shape: tuple[int, ...], opt: tuple[int, ...] | None = None) -> ShapeRange:
    """Give the range of an input of which trtexec made up ``shape``: an axis of 1 has no bounds, any other is fixed."""
    return ShapeRange(shape, opt or shape, tuple(UNBOUNDED if size == 1 else size for size in shape))


def ranges(bound: Shapes, made_up: Shapes, told: Shapes) -> Mapping[str, ShapeRange]:
    """Give what an engine takes, as far as a try that succeeded tells it.

    Args:
        bound: shapes of all inputs.
        made_up: those that trtexec made up, in this try or in one before.
        told: those that it was given.
    """
    free = {name: tuple(1 for _ in shape) for name, shape in told.items()} | dict(made_up)
    return {
        name: opened(free[name], shape) if name in free else ShapeRange(shape, shape, shape)
        for name, shape in bound.items()
    }


def _refuse_untold(name: str, shape: tuple[int, ...], batches: Sequence[int]) -> None:
    """Refuse to guess, except a batch that is told where only that is open.

    A first axis of 1 beside other open ones may as well be fixed at one picture, and channels of pictures are fixed.
    """
    is_image = len(shape) == len(AXES)
    axes = [axis for axis, size in enumerate(shape) if size == 1 and not (is_image and AXES[axis] == "channels")]
    axes = [axis for axis in axes if axis] or axes
    if axes == [0] and batches:
        return
    labels = [AXES[axis] if is_image else f"axis {axis}" for axis in axes]
    usual = "x".join(str(max(USUAL_SIZE) if axis in axes and axis else size) for axis, size in enumerate(shape))
    raise InputError(
        f"the engine's input {name} has open {' and '.join(labels)}, and nothing here tells which it takes",
        fix="name a batch that it takes with --batch"
        if axes == [0]
        else f"name one shape with --shape, as {name}:{usual}",
    )
