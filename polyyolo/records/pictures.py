"""How pictures become tensors, and which ones are used."""

from collections.abc import Mapping
from pathlib import Path

from attrs import frozen

from polyyolo.errors import InputError, TableError


@frozen
class Preprocessing:
    """How a picture becomes a tensor: the same everywhere, from calibration to detection.

    Attributes:
        size: (height, width) in pixels.
        fit: "letterbox" keeps the aspect ratio and pads all around, "top-left" pads right and below, "stretch" fills.
        pad: grey value of the padding, 0 to 255.
        colour: channel order that the model wants, "rgb" or "bgr"; "grey" for one channel.
        scale: factor that pixel values are multiplied with, usually 1/255.
        mean: subtracted after scaling, one a channel.
        std: divided by after the mean, one a channel.
        dtype: numpy dtype of the tensor.
    """

    size: tuple[int, int]
    fit: str = "letterbox"
    pad: int = 114
    colour: str = "rgb"
    scale: float = 1 / 255
    mean: tuple[float, float, float] = (0.0, 0.0, 0.0)
    std: tuple[float, float, float] = (1.0, 1.0, 1.0)
    dtype: str = "float32"

    @property
    def pads(self) -> bool:
        """Whether some of the tensor may be padding."""
        return self.fit != "stretch"


@frozen
class Skipped:
    """A picture that was left out, and why."""

    path: Path
    reason: str


@frozen
class CalibrationSet:
    """The pictures that ranges are measured on, in order.

    Attributes:
        sources: picture files, or one .npy file of shape (N, C, H, W).
        indices: for an .npy, which of its N entries are used; empty for pictures.
        batch: pictures a batch; the last, incomplete batch is not used.
        seed: of the choice among the pictures found.
        found: how many were there to choose from.
        sha256: over the names and bytes of what is used, in order.
        skipped: what could not be used.
    """

    sources: tuple[Path, ...]
    preprocessing: Preprocessing
    batch: int
    seed: int
    found: int
    sha256: str
    indices: tuple[int, ...] = ()
    skipped: tuple[Skipped, ...] = ()

    def __attrs_post_init__(self) -> None:
        """Refuse a set that cannot fill one batch.

        Raises:
            InputError: as above.
        """
        if self.batch < 1 or self.pictures < self.batch:
            raise InputError(
                f"{self.pictures} usable pictures cannot fill one batch of {self.batch}",
                fix="give more pictures, or a profile with a smaller opt batch",
            )

    @property
    def pictures(self) -> int:
        """How many pictures were chosen."""
        return len(self.indices or self.sources)

    @property
    def batches(self) -> int:
        """How many full batches they make."""
        return self.pictures // self.batch


@frozen
class CalibrationTable:
    """For every tensor its range, by several methods, and what it was measured on.

    Attributes:
        model_sha256: hash of the FP32 model that was run.
        set_sha256: hash of the ``CalibrationSet``.
        pictures: how many pictures were folded in.
        method: the method whose ranges are used.
        ranges: tensor name -> method -> largest magnitude (amax) to represent.
        histogram_sha256: digest of the histograms that the ranges came from.
    """

    model_sha256: str
    set_sha256: str
    preprocessing: Preprocessing
    pictures: int
    method: str
    ranges: Mapping[str, Mapping[str, float]]
    histogram_sha256: str

    def amax(self, tensor: str) -> float:
        """Largest magnitude of ``tensor`` that INT8 should represent; the INT8 scale is this / 127.

        Raises:
            TableError: the table has no such tensor, or not by its own method.
        """
        try:
            return self.ranges[tensor][self.method]
        except KeyError:
            raise TableError(
                f"the calibration table has no {self.method} range for tensor {tensor!r}",
                fix="calibrate again with the model that this table is to be used for",
            ) from None
