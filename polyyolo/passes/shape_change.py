"""Which shape a picture input is to have, read from what the user asks for."""

from typing import Literal

import onnx
from attrs import frozen

from polyyolo.errors import InputError
from polyyolo.models.heads import recognise
from polyyolo.models.probe import OPEN_SIZE
from polyyolo.models.tensors import image_of, inputs_of
from polyyolo.passes.unbake import HW
from polyyolo.records import TensorSpec

Dynamic = Literal["dynamic"]
Dims = tuple[int | str, ...]


@frozen
class Change:
    """From what to what the picture input goes, each (N, C, H, W)."""

    name: str
    before: Dims
    after: Dims

    @property
    def frees_batch(self) -> bool:
        """Whether another batch than the one baked in must work."""
        return self.before[0] != self.after[0]

    @property
    def varies_batch(self) -> bool:
        """Whether the changed model must work for more than one batch."""
        return self.frees_batch or isinstance(self.after[0], str)

    @property
    def frees_size(self) -> bool:
        """Whether another picture size than the one baked in must work."""
        return self.before[2:] != self.after[2:] and all(isinstance(side, int) for side in self.before[2:])

    @property
    def trial_size(self) -> HW:
        """(height, width) to run the changed model at; the old one too where it can."""
        height, width = (
            next((side for side in (new, old) if isinstance(side, int)), usual)
            for new, old, usual in zip(self.after[2:], self.before[2:], OPEN_SIZE, strict=True)
        )
        return height, width

    def __str__(self) -> str:
        """Write both shapes."""
        return " to ".join("x".join(map(str, dims)) for dims in (self.before, self.after))


def change_of(model: onnx.ModelProto, batch: int | Dynamic | None, size: HW | Dynamic | None) -> Change:
    """Tell from what to what the picture input of ``model`` goes; what is None stays as it is.

    Raises:
        InputError: neither is given, or a number that no model can have.
        ModelError: the model has no picture input, or several.
    """
    if batch is None and size is None:
        raise InputError("neither a batch nor a size was given", fix="give --batch, --size or both")
    image = image_of(inputs_of(model))
    count, channels, *sides = image.dims
    if batch is not None:
        count = _batch(batch, image)
    if size is not None:
        sides = _sides(size, image, recognise(model).strides)
    return Change(name=image.name, before=image.dims, after=(count, channels, *sides))


def _batch(batch: int | Dynamic, image: TensorSpec) -> int | str:
    if batch == "dynamic":
        return image.dims[0] if isinstance(image.dims[0], str) else "batch"
    if batch < 1:
        raise InputError(f"a batch of {batch} holds no picture", fix="give 1 or more, or dynamic")
    return batch


def _sides(size: HW | Dynamic, image: TensorSpec, strides: tuple[int, ...]) -> list[int | str]:
    if size == "dynamic":
        names = zip(image.dims[2:], ("height", "width"), strict=True)
        return [dim if isinstance(dim, str) else name for dim, name in names]
    stride = max(strides, default=1)
    if any(side < stride or side % stride for side in size):
        height, width = (max(1, round(side / stride)) * stride for side in size)
        raise InputError(
            f"{size[0]}x{size[1]} does not fit the model's stride of {stride}",
            fix=f"take multiples of {stride}, such as {height}x{width}",
        )
    return list(size)
