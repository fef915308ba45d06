"""The engine that ``polygraphy run --yolo-trtexec`` runs: the file that was given, or one built from the ONNX."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from attrs import evolve, field, frozen

from polyyolo.engines import profiles
from polyyolo.engines.build import build
from polyyolo.engines.engine_file import read_engine_file, strip
from polyyolo.engines.plan import BuildOptions, Program, make_plan
from polyyolo.engines.programs import find_trtexec
from polyyolo.engines.toolchain import named
from polyyolo.errors import ToolchainError
from polyyolo.models.half import read_half
from polyyolo.models.spec import read_spec
from polyyolo.plugin.trtexec_words import words
from polyyolo.records import ModelSpec, Precision, Profile, Route, ShapeRange, Toolchain

Shape = Sequence[int]


@frozen
class Build:
    """What Polygraphy's own options say of a build; any left out has Polygraphy's default.

    Attributes:
        tf32: whether FP32 may be rounded to TF32; trtexec must be told no.
        profiles: for each optimisation profile, input name -> its min, opt and max shape; empty for the model's own.
        calibration_cache: TensorRT's text file of scales, for ``int8`` without Q/DQ nodes.
        save_engine: where the engine is kept; None forgets it.
        options: the other options that change how TensorRT builds, as in ``trtexec_words.SPELLINGS``.
    """

    tf32: bool = False
    fp16: bool = False
    int8: bool = False
    profiles: Sequence[Mapping[str, tuple[Shape, Shape, Shape]]] = field(factory=list)
    calibration_cache: str | None = None
    timing_cache: str | None = None
    save_engine: str | None = None
    options: Mapping[str, object] = field(factory=dict)


def toolchain_here() -> Toolchain:
    """Find trtexec and ask it for its version; it may lie without a GPU, which it will tell itself.

    Raises:
        ToolchainError: there is none, it does not start, or it is older than 8.5.
    """
    program = find_trtexec()
    if not program.version:
        raise ToolchainError(
            program.missing, fix="install TensorRT by NVIDIA's tar, deb or container, and put trtexec on PATH"
        )
    return evolve(named(program.version), trtexec=program.path)


def bare_plan(path: Path, folder: Path) -> Path:
    """Give an engine as trtexec takes it: without what Ultralytics writes in front, for which it is copied.

    Raises:
        InputError: the file is no engine, or damaged.
    """
    engine = read_engine_file(path)
    return strip(engine, folder / "model.plan") if engine.offset else path


def engine_from(onnx: Path, asked: Build, toolchain: Toolchain, folder: Path) -> Path:
    """Build an engine with trtexec, in its own dialect, with every refusal that ``polyyolo build`` has.

    Args:
        onnx: the model.
        asked: what Polygraphy was told.
        toolchain: from ``toolchain_here``.
        folder: for the log, and for an engine that is not to be kept.

    Raises:
        InputError: options that contradict each other or the model, or a calibration cache that does not fit.
        ToolFailed: trtexec failed.
    """
    spec = read_spec(onnx)
    engine = Path(asked.save_engine) if asked.save_engine else folder / "model.plan"
    plan = make_plan(spec, _profile(spec, asked), toolchain, engine, _options(spec, asked, toolchain))
    return build(plan, folder / "build.log").path


def _profile(spec: ModelSpec, asked: Build) -> Profile:
    if not asked.profiles:
        return profiles.default(spec)
    ranges = tuple(
        {name: ShapeRange(*(tuple(shape) for shape in bounds)) for name, bounds in inputs.items()}
        for inputs in asked.profiles
    )
    return Profile("polygraphy", ranges)


def _options(spec: ModelSpec, asked: Build, toolchain: Toolchain) -> BuildOptions:
    calibrated = asked.int8 and asked.calibration_cache is not None and not spec.quantized
    in_float = Precision.FP16 if asked.fp16 else Precision.FP32
    return BuildOptions(
        precision=Precision.INT8 if asked.int8 or spec.quantized else in_float,
        route=Route.CALIBRATED if calibrated else Route.QDQ,
        program=Program.TRTEXEC,
        calibration_cache=Path(str(asked.calibration_cache)) if calibrated else None,
        timing_cache=Path(asked.timing_cache) if asked.timing_cache else None,
        half=read_half(spec.path),
        beside_int8=in_float,
        extra=(*(() if asked.tf32 else ("--noTF32",)), *words(asked.options, toolchain.release)),
    )
