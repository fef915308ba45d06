"""What is built, with what, for which shapes."""

from collections.abc import Mapping
from enum import Enum
from pathlib import Path

from attrs import field, frozen

from polyyolo.errors import ProfileError
from polyyolo.records.model import ModelSpec
from polyyolo.releases import WITHOUT_CALIBRATORS, release_of


class Precision(str, Enum):
    """What the engine computes in, head and decode apart."""

    FP32 = "fp32"
    FP16 = "fp16"
    INT8 = "int8"


class Route(str, Enum):
    """How INT8 scales reach TensorRT: in the graph, or in a calibration cache."""

    QDQ = "qdq"
    CALIBRATED = "calibrated"


@frozen
class ShapeRange:
    """Smallest, usual and largest shape of one input in one optimisation profile."""

    min: tuple[int, ...]
    opt: tuple[int, ...]
    max: tuple[int, ...]

    def __attrs_post_init__(self) -> None:
        """Refuse ranks that differ and ranges that are not ordered.

        Raises:
            ProfileError: as above.
        """
        if not len(self.min) == len(self.opt) == len(self.max):
            raise ProfileError(
                f"min, opt and max have {len(self.min)}, {len(self.opt)} and {len(self.max)} axes",
                fix="give all three the same number of axes, N, C, H, W for pictures",
            )
        for axis, (low, mid, high) in enumerate(zip(self.min, self.opt, self.max, strict=True)):
            if not 1 <= low <= mid <= high:
                ordered = " -> ".join(map(str, sorted(max(size, 1) for size in (low, mid, high))))
                raise ProfileError(
                    f"axis {axis} goes {low} -> {mid} -> {high}, but TensorRT needs 1 <= min <= opt <= max",
                    fix=f"put them in order, as {ordered}",
                )


@frozen
class Profile:
    """Shapes that an engine must accept.

    Attributes:
        name: what the file or preset is called.
        optimizations: one mapping of input name to ``ShapeRange`` for each TensorRT optimisation profile;
            the name ``*`` stands for the model's image input until ``engines.profiles.resolve`` fills it in.
    """

    name: str
    optimizations: tuple[Mapping[str, ShapeRange], ...]

    def usual(self, image: str, place: int = 0) -> tuple[int, tuple[int, int]]:
        """Give the batch and the (height, width) that an optimisation profile is best at, as pictures' input has it.

        TensorRT's own calibrators run at the last one, ``place`` -1.
        """
        batch, _, height, width = self.optimizations[place][image].opt
        return batch, (height, width)


class ToolchainKind(str, Enum):
    """What turns an ONNX into an engine."""

    TENSORRT = "tensorrt"
    RTX = "rtx"
    NONE = "none"


BEFORE_8_6 = b"ptrt"
PLAN_MAGIC = {b"ftrt": ToolchainKind.TENSORRT, BEFORE_8_6: ToolchainKind.TENSORRT, b"vtrt": ToolchainKind.RTX}
"""The first four bytes of an engine -> whose it is. That TensorRT 8.5 writes the older ones is inferred, not seen."""


@frozen
class Toolchain:
    """What is installed here, or what the user says is installed elsewhere.

    Attributes:
        kind: which of the three.
        tensorrt: version of TensorRT or of TensorRT for RTX, as "10.16.0"; empty for none.
        polygraphy: version, or empty.
        trtexec: path of the program, or None.
        polygraphy_path: path of the program, or None where it is on another machine.
        gpu: name of the GPU, or empty where there is none.
        compute_capability: as "8.9"; empty where unknown.
        missing: what was looked for and not found, one sentence each.
    """

    kind: ToolchainKind
    tensorrt: str = ""
    polygraphy: str = ""
    trtexec: Path | None = None
    gpu: str = ""
    compute_capability: str = ""
    missing: tuple[str, ...] = ()
    polygraphy_path: Path | None = None

    @property
    def release(self) -> tuple[int, int]:
        """Major and minor of its TensorRT; zeros for none."""
        return release_of(self.tensorrt)

    @property
    def has_calibrator(self) -> bool:
        """Whether it takes scales from a calibration cache; where nothing builds, whatever does elsewhere may."""
        return self.kind is not ToolchainKind.RTX and self.release < WITHOUT_CALIBRATORS


@frozen
class Command:
    """One complete command line: printing it reproduces the step."""

    argv: tuple[str, ...]
    env: Mapping[str, str] = field(factory=dict)


@frozen
class BuildPlan:
    """All that a build does, decided beforehand.

    Attributes:
        model: the ONNX that is handed to the builder.
        command: what is run.
        engine: where the engine will be written.
        timing_cache: reused between builds, where the builder takes one.
        calibration_cache: the scales of the calibrated route.
        notes: what was translated or left out for this toolchain.
    """

    model: ModelSpec
    profile: Profile
    precision: Precision
    route: Route
    toolchain: Toolchain
    command: Command
    engine: Path
    timing_cache: Path | None = None
    notes: tuple[str, ...] = ()
    calibration_cache: Path | None = None


@frozen
class Engine:
    """A built engine. TensorRT's version and the GPU are in the plan's toolchain: engines are not portable."""

    path: Path
    sha256: str
    size_bytes: int
    build_seconds: float
    plan: BuildPlan


@frozen
class Layer:
    """One layer of a model or engine.

    Attributes:
        kind: ONNX operator or TensorRT layer type.
        precision: what it computes in.
        macs: multiply-accumulates for one picture; 0 where the operator has none or the shape is unknown.
        reason: why it stays in float, where it does.
    """

    name: str
    kind: str
    precision: Precision
    macs: int = 0
    reason: str = ""


@frozen
class Sensitivity:
    """What quantizing one tensor costs.

    Attributes:
        tensor: the activation.
        nodes: identities of the weighted nodes that read it.
        noise: power of the noise at the outputs against the signal's, with nothing else quantized.
        macs: multiply-accumulates of the nodes for one picture.
    """

    tensor: str
    nodes: tuple[str, ...]
    noise: float
    macs: int
