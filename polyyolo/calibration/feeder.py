"""Feed pictures to Polygraphy, batch by validated batch, and count what it took."""

from collections.abc import Generator, Iterator, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import attrs
from attrs import field, frozen

from polyyolo import progress
from polyyolo.calibration.feed_count import FeedCount
from polyyolo.errors import PictureError, PolyYoloError
from polyyolo.files import write_json
from polyyolo.images.arrays import entry_shape
from polyyolo.images.choose import choose
from polyyolo.images.lint import Severity, lint
from polyyolo.images.presets import for_input
from polyyolo.images.sources import is_array
from polyyolo.images.stream import Batch, batches
from polyyolo.models.own_size import USUAL_SIZE
from polyyolo.records import CalibrationSet, Preprocessing, TensorSpec

Feed = dict[str, Batch]


@frozen
class FeedOptions:
    """What to feed.

    Attributes:
        source: a folder, picture, .txt list, data.yaml or .npy.
        count: how many pictures, chosen with ``seed``.
        batch: pictures a batch; needed only where the model leaves it open, 1 otherwise.
        size: (height, width) in pixels; needed only where the model leaves them open.
        seed: of the choice.
        split: the key of a data.yaml to read.
        tensor: name of the model's input, where nobody tells it.
        preset: what differs from YOLOv5's preprocessing in the model's family.
        overrides: fit, pad, colour, scale, mean, std that differ from the preset.
        count_file: JSON file to write the number of batches to, promised and yielded.
        calibrates: whether scales come from them; else models are compared.
    """

    source: Path
    count: int = 300
    batch: int | None = None
    size: tuple[int, int] | None = None
    seed: int = 0
    split: str = "train"
    tensor: str = "images"
    preset: Mapping[str, Any] = field(factory=dict)
    overrides: Mapping[str, Any] = field(factory=dict)
    count_file: Path | None = None
    calibrates: bool = True


class Feeder:
    """Mutable, because Polygraphy assigns ``input_metadata`` to it and a frozen object would lose that silently.

    Iterating starts over each time (TensorRT's calibrator rewinds it) and yields one mapping of input name to (B, C,
    H, W) a batch. The pictures are chosen and decoded once at construction: TensorRT takes an error during
    calibration for the end of the data, so that what can fail has to fail before.
    """

    def __init__(self, options: FeedOptions, listener: progress.Listener | None = None) -> None:
        """Choose and check the pictures.

        Raises:
            PictureError: there are none that can be used.
        """
        self.options = options
        self.listener = listener or progress.Silent()
        self.input_metadata: Mapping[str, Any] | None = None
        self._chosen = self._choose()

    def __iter__(self) -> Iterator[Feed]:
        """Yield each batch, checked; begin only when the first is asked for, because the metadata comes after ``iter``.

        Raises:
            PictureError: the options do not fit the model's input, or a batch is not what it should be.
            InputError: too few pictures for one batch.
        """
        yielded = 0
        promised = 0
        failure = ""
        try:
            chosen = self.chosen()
            promised = chosen.batches
            self._write(FeedCount(promised, 0))
            for feed in self._feeds(chosen):
                yield feed
                yielded += 1
        except PolyYoloError as error:
            failure = error.message
            self.listener.warned(f"batch {yielded + 1}: {error.message}", error.fix)
            raise
        finally:
            self._write(FeedCount(promised, yielded, failure))

    def chosen(self) -> CalibrationSet:
        """Fit the choice to the model's input as far as it is known by now.

        Raises:
            PictureError: batch, size or preprocessing do not fit it.
            InputError: too few pictures for one batch.
        """
        tensor = self.tensor()
        batch, size = self._batch(tensor), self._size(tensor)
        preprocessing = for_input(tensor, size, self.options.preset, **self.options.overrides)
        return attrs.evolve(self._chosen, preprocessing=preprocessing, batch=batch)

    def tensor(self) -> TensorSpec:
        """Describe the input that takes the pictures: from Polygraphy's metadata, or nothing but its name.

        Raises:
            PictureError: the model has several inputs, or one of other than four axes.
        """
        if self.input_metadata is None:
            return TensorSpec(self.options.tensor, "float32", ("batch", "channels", "height", "width"))
        if len(self.input_metadata) != 1:
            names = ", ".join(self.input_metadata)
            raise PictureError(
                f"the model has {len(self.input_metadata)} inputs ({names}), pictures feed only one",
                fix="write a load_data of your own that yields all of them; polyyolo.images.stream makes the tensors",
            )
        name, (dtype, shape) = next(iter(self.input_metadata.items()))
        dims = [dim if isinstance(dim, int) and dim > 0 else str(dim) for dim in shape]
        if len(dims) != 4:
            raise PictureError(
                f"input {name!r} takes {tuple(dims)}, but pictures are (N, C, H, W)",
                fix="feed a model that takes pictures",
            )
        return TensorSpec(name, str(dtype), tuple(dims))

    def _choose(self) -> CalibrationSet:
        """Choose and decode the pictures before the model is known; only an .npy tells its size by itself."""
        options = self.options
        dims: tuple[int | str, ...] = ("channels", "height", "width")
        size = options.size or USUAL_SIZE
        if is_array(options.source):
            dims = entry_shape(options.source)
            size = dims[1], dims[2]
        tensor = TensorSpec(options.tensor, "float32", ("batch", *dims))
        preprocessing = for_input(tensor, size, options.preset, **options.overrides)
        return choose(
            options.source,
            preprocessing,
            count=options.count,
            batch=1,
            seed=options.seed,
            split=options.split,
            calibrates=options.calibrates,
        )

    def _batch(self, tensor: TensorSpec) -> int:
        wanted, (fixed, *_) = self.options.batch, tensor.dims
        if isinstance(fixed, int) and wanted not in {None, fixed}:
            raise PictureError(
                f"a batch of {wanted} was asked for, but input {tensor.name!r} takes {tensor.dims}",
                fix=f"leave the batch out (POLYYOLO_BATCH), or make it {fixed}",
            )
        return fixed if isinstance(fixed, int) else wanted or 1

    def _size(self, tensor: TensorSpec) -> tuple[int, int]:
        """Take the size from the options, else from an .npy, else from the model where it has only one."""
        if self.options.size:
            return self.options.size
        if is_array(self.options.source):
            return self._chosen.preprocessing.size
        height, width = tensor.dims[2:4]
        if isinstance(height, int) and isinstance(width, int):
            return height, width
        raise PictureError(
            f"input {tensor.name!r} takes {tensor.dims}, so that height and width must be told",
            fix="set the size, for example POLYYOLO_SIZE=640 or POLYYOLO_SIZE=384x1280 (height x width)",
        )

    def _feeds(self, chosen: CalibrationSet) -> Generator[Feed, None, None]:
        tensor = self.tensor()
        stream = batches(chosen)
        with closing(stream):
            for batch in stream:
                self._refuse_flaws(batch, tensor, chosen.preprocessing)
                yield {tensor.name: batch}

    def _refuse_flaws(self, batch: Batch, tensor: TensorSpec, preprocessing: Preprocessing) -> None:
        for finding in lint(batch, tensor, preprocessing):
            if finding.severity is Severity.ERROR:
                raise PictureError(finding.message, fix=finding.fix)
            self.listener.warned(finding.message, finding.fix)

    def _write(self, count: FeedCount) -> None:
        if self.options.count_file:
            write_json(self.options.count_file, count)
