"""What a build is asked to do, before it is put into the words of one program."""

from enum import Enum
from pathlib import Path

from attrs import frozen

from polyyolo.engines.calibrators import Feed
from polyyolo.models.half import Half
from polyyolo.records import ModelSpec, Precision, Profile, Route, Toolchain, ToolchainKind
from polyyolo.releases import WITHOUT_CALIBRATORS

STRONG_SINCE = (10, 0)
"""First TensorRT that can be strongly typed; 10 can be both, later ones cannot be weakly typed."""


class Typing(str, Enum):
    """Who decides what a layer computes in.

    WEAK: the builder, within what --int8 and --fp16 allow. The ONNX stays FP32, Q/DQ scales too.
    STRONG: the ONNX, by its types alone. What shall run in FP16 must be FP16 in the graph.
    """

    WEAK = "weak"
    STRONG = "strong"


class Program(str, Enum):
    """What the builder is driven with."""

    TRTEXEC = "trtexec"
    POLYGRAPHY = "polygraphy"


@frozen
class BuildOptions:
    """How to build, where more than one way is possible.

    Attributes:
        program: None takes trtexec where it is installed, else Polygraphy.
        calibration_cache: TensorRT's text file of scales, for ``Route.CALIBRATED``.
        timing_cache: read where it exists and written again.
        compute_capabilities: GPUs to build for, as "8.9"; TensorRT for RTX only, which else builds for 8.0 and later.
        half: what of the ONNX is FP16 (``half.read_half``); None promises that it is prepared as ``typing_for`` says.
        workspace_mib: GPU memory that the builder may use for scratch space; None leaves it to the builder.
        feed: pictures for TensorRT's own calibrator, which then writes ``calibration_cache``; None where it is there.
        float_layers: layers that have a scale in ``calibration_cache`` and shall run in FP16 all the same.
        extra: words for the program, put behind ours as they are.
        beside_int8: what layers that are not INT8 may run in besides FP32, where flags decide: FP16, or FP32 alone.
    """

    precision: Precision = Precision.INT8
    route: Route = Route.QDQ
    program: Program | None = None
    calibration_cache: Path | None = None
    timing_cache: Path | None = None
    compute_capabilities: tuple[str, ...] = ()
    half: Half | None = None
    workspace_mib: int | None = None
    feed: Feed | None = None
    float_layers: tuple[str, ...] = ()
    extra: tuple[str, ...] = ()
    beside_int8: Precision = Precision.FP16

    @property
    def extra_options(self) -> tuple[str, ...]:
        """What stands before the = of each word of ``extra``."""
        return tuple(word.partition("=")[0] for word in self.extra)


@frozen
class Job:
    """One build with everything that decides its command line."""

    spec: ModelSpec
    profile: Profile
    toolchain: Toolchain
    engine: Path
    options: BuildOptions

    @property
    def program(self) -> Program:
        """The program that was asked for, else the one that is here; trtexec calibrates on noise only."""
        if self.options.feed and not self.options.program:
            return Program.POLYGRAPHY
        return self.options.program or (Program.TRTEXEC if self.toolchain.trtexec else Program.POLYGRAPHY)

    @property
    def calibrated(self) -> bool:
        """Whether scales come from a calibration cache."""
        return self.options.route is Route.CALIBRATED

    @property
    def typing(self) -> Typing:
        """How this engine is typed. TensorRT 10 takes both: an ONNX without FP16 gets its speed from weak typing."""
        half = self.options.half
        weak_is_left = (
            self.toolchain.kind is ToolchainKind.TENSORRT
            and STRONG_SINCE <= self.toolchain.release < WITHOUT_CALIBRATORS
        )
        if weak_is_left and (self.options.precision is Precision.FP32 or (half is not None and not half.anywhere)):
            return Typing.WEAK
        return typing_for(self.toolchain, self.options.route)

    @property
    def flags(self) -> tuple[str, ...]:
        """Precision flags that trtexec and Polygraphy spell alike; FP16 beside INT8, or the rest runs in FP32."""
        if self.typing is Typing.STRONG:
            return ()
        if self.options.precision is Precision.INT8:
            return ("--int8", *(("--fp16",) if self.options.beside_int8 is Precision.FP16 else ()))
        return ("--fp16",) if self.options.precision is Precision.FP16 else ()

    @property
    def is_strong_by_nature(self) -> bool:
        """Whether the builder knows neither precision flags nor calibrators."""
        return not self.toolchain.has_calibrator

    @property
    def must_say_strong(self) -> bool:
        """Whether strong typing must be asked for: TensorRT 10 has both, 11 and RTX have nothing else."""
        return self.typing is Typing.STRONG and not self.is_strong_by_nature


def typing_for(toolchain: Toolchain, route: Route = Route.QDQ) -> Typing:
    """Say how the ONNX must be prepared for a toolchain.

    WEAK (FP32 with FP32 scales) for TensorRT 8.5 to 9, and wherever a calibration cache is used; STRONG (cast to FP16
    beside its Q/DQ) for 10, 11, TensorRT for RTX, and where there is no toolchain, for whatever comes.
    """
    if route is Route.CALIBRATED:
        return Typing.WEAK
    old = toolchain.kind is ToolchainKind.TENSORRT and toolchain.release < STRONG_SINCE
    return Typing.WEAK if old else Typing.STRONG
