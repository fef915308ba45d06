"""Known pictures as trtexec takes them, and what ONNX Runtime makes of them: what an engine is checked against."""

from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path

import numpy as np
import numpy.typing as npt

from polyyolo import progress
from polyyolo.bundling.contents import Reference, expected, given, index_of
from polyyolo.bundling.forms import Forms
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
    batch = _batch(run, forms)
    queries = list(_queries(list(islice(_pictures(run, images), count)), batch))
    with Runner(forms.weak.spec) as runner:
        return tuple(
            _written(runner, query, batch, forms, (folder, index_of(place)))
            for place, query in enumerate(progress.track(queries, "references", len(queries)))
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
            f"{len(gone)} of the pictures that the run calibrated with are not where they were, as {gone[0]}",
            fix="start it from the folder that the run was started from, name others with --images, or leave them out "
            "with --pictures 0",
        )
    names = [f"{chosen.sources[0].name}:{index}" for index in chosen.indices] or [path.name for path in chosen.sources]
    yield from zip(names, chosen_tensors(chosen), strict=False)


def _batch(run: Run, forms: Forms) -> int:
    """Take the smallest batch that every engine accepts."""
    fixed = forms.weak.spec.image_input.dims[0]
    return fixed if isinstance(fixed, int) else run.profile.optimizations[0][forms.weak.spec.image].min[0]


def _queries(known: Sequence[Known], batch: int) -> Iterator[Sequence[Known]]:
    """Cut into batches; the last may be smaller."""
    if not known:
        raise InputError("there are no pictures to check an engine with", fix="name some with --images")
    for start in range(0, len(known), batch):
        yield known[start : start + batch]


def _written(runner: Runner, query: Sequence[Known], batch: int, forms: Forms, places: tuple[Path, str]) -> Reference:
    folder, index = places
    filled = [*query, *[query[-1]] * (batch - len(query))]
    stacked = np.stack([tensor for _, tensor in filled])
    for dtype in {form.spec.image_input.dtype for form in forms.each}:
        _write_raw(stacked.astype(dtype), folder / given(index, dtype))
    outputs = runner.infer(stacked)
    for place, array in enumerate(outputs.values()):
        _write_raw(np.asarray(array, np.float32), folder / expected(index, place))
    shapes = {output: array.shape for output, array in outputs.items()}
    return Reference(tuple(picture for picture, _ in query), batch, shapes)


def _write_raw(array: Array, path: Path) -> None:
    """Write little-endian values without a header, as ``--loadInputs`` takes them."""
    with replacing(path) as temporary:
        temporary.write_bytes(array.astype(array.dtype.newbyteorder("<")).tobytes())
