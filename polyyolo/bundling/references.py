"""Known pictures as trtexec takes them, and what ONNX Runtime makes of them: what an engine is checked against."""

from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path

import numpy as np
import numpy.typing as npt

from polyyolo import progress
from polyyolo.bundling.contents import REFERENCE, Reference
from polyyolo.bundling.forms import Forms
from polyyolo.bundling.generations import names_of
from polyyolo.errors import InputError, PictureError
from polyyolo.files import replacing
from polyyolo.images.sources import find_pictures
from polyyolo.images.stream import chosen_tensors, tensors
from polyyolo.records import Run
from polyyolo.verification.inference import Runner

Array = npt.NDArray[np.generic]
Known = tuple[str, Array]
"""A picture's name and its (C, H, W) tensor."""


def write_references(run: Run, forms: Forms, count: int, images: Path | None, folder: Path) -> tuple[Reference, ...]:
    """Write inputs and expected outputs below ``folder``.

    What is expected comes from the Q/DQ model with FP32 beside, whatever the generation builds from.

    Args:
        run: whose pictures are taken where ``images`` is None.
        forms: of its model.
        count: pictures, at most; 0 writes nothing.
        images: other pictures: a folder, a list or a data.yaml.
        folder: the bundle's.

    Raises:
        InputError: there are no pictures.
        PictureError: one cannot be used.
        ModelError: ONNX Runtime cannot run the model.
    """
    if not count:
        return ()
    queries = list(_queries(list(islice(_pictures(run, images), count)), _batch(run, forms)))
    names = names_of(len(queries))
    with Runner(forms.weak.spec) as runner:
        return tuple(
            _written(runner, query, forms, folder, name)
            for name, query in zip(names, progress.track(queries, "references", len(queries)), strict=True)
        )


def _pictures(run: Run, images: Path | None) -> Iterator[Known]:
    if images:
        for path, tensor, _ in tensors(find_pictures(images), run.preprocessing):
            yield path.name, tensor
        return
    chosen = run.calibration
    if chosen is None:
        raise InputError(
            f"{run.folder} calibrated nothing, so that it knows no pictures to check an engine with",
            fix="name some with --images, or leave them out with --pictures 0",
        )
    gone = [path for path in chosen.sources if not path.exists()]
    if gone:
        raise PictureError(
            f"{len(gone)} of the pictures that the run calibrated with are gone, as {gone[0]}",
            fix="name others with --images, or leave them out with --pictures 0",
        )
    names = [f"{chosen.sources[0].name}:{index}" for index in chosen.indices] or [path.name for path in chosen.sources]
    yield from zip(names, chosen_tensors(chosen), strict=False)


def _batch(run: Run, forms: Forms) -> int:
    """Take the smallest batch that every engine accepts."""
    fixed = forms.weak.spec.image_input.dims[0]
    return fixed if isinstance(fixed, int) else run.profile.optimizations[0][forms.weak.spec.image].min[0]


def _queries(known: Sequence[Known], batch: int) -> Iterator[list[Known]]:
    """Cut into full batches; the last is filled up with its last picture."""
    if not known:
        raise InputError("there are no pictures to check an engine with", fix="name some with --images")
    for start in range(0, len(known), batch):
        part = list(known[start : start + batch])
        yield part + [part[-1]] * (batch - len(part))


def _written(runner: Runner, query: Sequence[Known], forms: Forms, folder: Path, name: str) -> Reference:
    stacked = np.stack([tensor for _, tensor in query])
    dtypes = {form.spec.image_input.dtype for form in forms.each}
    inputs = {dtype: stacked.astype(dtype) for dtype in sorted(dtypes)}
    outputs = {output: np.asarray(array, np.float32) for output, array in runner.infer(stacked).items()}
    return Reference(
        pictures=tuple(picture for picture, _ in query),
        inputs={dtype: _raw(array, folder, f"{name}.{dtype}.bin") for dtype, array in inputs.items()},
        outputs={
            output: _raw(array, folder, f"{name}.output{place}.bin")
            for place, (output, array) in enumerate(outputs.items())
        },
        shapes={output: array.shape for output, array in outputs.items()},
    )


def _raw(array: Array, folder: Path, name: str) -> str:
    """Write little-endian values without a header, as ``--loadInputs`` takes them."""
    with replacing(folder / REFERENCE / name) as temporary:
        temporary.write_bytes(array.astype(array.dtype.newbyteorder("<")).tobytes())
    return f"{REFERENCE}/{name}"
