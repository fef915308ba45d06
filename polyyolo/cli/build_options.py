"""The options that decide a build, the same for ``plan``, which prints it, and ``build``, which runs it."""

from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click
from attrs import evolve, frozen

from polyyolo.cli import familiar_options
from polyyolo.cli.familiar_options import FAMILIAR, spelt
from polyyolo.cli.toolchain_option import toolchain_option
from polyyolo.errors import InputError
from polyyolo.files import refuse_nameless

if TYPE_CHECKING:
    from polyyolo.engines.plan import BuildOptions
    from polyyolo.feeding import Calibration
    from polyyolo.records import ModelSpec, Precision, Profile, Toolchain

Command = TypeVar("Command", bound=Callable[..., Any])

CALIBRATORS = ("entropy2", "minmax", "legacy", "entropy")
OPTIONS = (
    click.option(
        "--profile", help="name of a ready shape profile, or a .toml file  [the model's own size, one picture]"
    ),
    click.option(
        "--precision",
        type=click.Choice(["int8", "fp16", "fp32"]),
        help="what it computes in  [what the model was made for]",
    ),
    click.option(
        "--route", type=click.Choice(["qdq", "calibrated"]), help="how scales come  [qdq; calibrated with --calib]"
    ),
    toolchain_option(),
    click.option("--program", type=click.Choice(["trtexec", "polygraphy"]), help="what drives the builder"),
    click.option(
        "--calib",
        "--cache",
        "cache",
        type=click.Path(path_type=Path),
        metavar="CACHE|PICTURES|NPY",
        help="scales up to TensorRT 10: a calibration cache, or what to make one from: a folder of pictures, an .npy",
    ),
    click.option(
        "--calibrator",
        type=click.Choice(CALIBRATORS),
        help="let TensorRT itself calibrate with the pictures of --calib, on the GPU  [polyyolo does, on the CPU]",
    ),
    click.option(
        "--timing-cache",
        "--timingCacheFile",
        "timing_cache",
        type=click.Path(path_type=Path),
        help="file that makes the next build quicker",
    ),
    click.option("--compute-capability", multiple=True, metavar="8.9", help="GPU to build for, TensorRT for RTX only"),
)


@frozen
class BuildRequest:
    """What the user asked for, read and resolved.

    Attributes:
        pictures: to make the calibration cache from; None where it is there, or not needed.
        calibrator: of TensorRT, which makes it while it builds; None where polyyolo makes it before.
        calibration: likewise, with the pictures chosen.
    """

    spec: "ModelSpec"
    profile: "Profile"
    toolchain: "Toolchain"
    options: "BuildOptions"
    pictures: Path | None = None
    calibrator: str | None = None
    calibration: "Calibration | None" = None


def build_options(command: Command) -> Callable[..., Any]:
    """Give a command the argument MODEL and all of ``OPTIONS``; it gets them as one mapping named ``build``."""

    @wraps(command)
    def collecting(*args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 - whatever the command takes and returns
        build = {str(name): kwargs.pop(str(name)) for name in ("model", *NAMES)}
        extra = click.get_current_context().meta.get(familiar_options.EXTRA, ())
        return command(*args, build={**build, "extra": extra}, **kwargs)

    for add in (*reversed((*OPTIONS, *FAMILIAR)), click.argument("model", required=False)):
        collecting = add(collecting)
    return collecting


NAMES = (
    *(
        "profile",
        "precision",
        "route",
        "toolchain",
        "program",
        "cache",
        "calibrator",
        "timing_cache",
        "compute_capability",
    ),
    *familiar_options.NAMES,
)


def read(build: dict[str, Any], tensorrt: str | None = None) -> BuildRequest:
    """Find the model, the profile and the toolchain that the options name.

    Args:
        build: what ``build_options`` collected.
        tensorrt: version on another machine; None looks at this one.

    Raises:
        InputError: a model, profile or option that cannot be used.
        ToolchainError: the toolchain that was insisted on is not here.
    """
    from polyyolo.calibrating import holds_pictures
    from polyyolo.engines.plan import BuildOptions, Program
    from polyyolo.files import refuse_same
    from polyyolo.models.half import read_half
    from polyyolo.models.reading import files_of
    from polyyolo.models.spec import read_spec
    from polyyolo.models.zoo import locate
    from polyyolo.records import Route

    spec = read_spec(locate(_model(build)))
    if spec.quantized:
        from polyyolo.quantization.lint.run import refuse_unbuildable

        refuse_unbuildable(spec)
    half = read_half(spec.path)
    pictures = build["cache"] if build["cache"] and holds_pictures(build["cache"]) else None
    if build["timing_cache"]:
        refuse_same(build["timing_cache"], *files_of(spec.path), *filter(None, (pictures,)))
    return BuildRequest(
        spec=spec,
        profile=_profile(build, spec),
        toolchain=_toolchain(build["toolchain"], tensorrt),
        pictures=pictures,
        calibrator=build["calibrator"],
        options=BuildOptions(
            precision=_precision(build, quantized=spec.quantized, half=half.anywhere),
            route=Route(build["route"] or ("calibrated" if build["cache"] else "qdq")),
            program=Program(build["program"]) if build["program"] else None,
            calibration_cache=build["cache"],
            timing_cache=build["timing_cache"],
            compute_capabilities=build["compute_capability"],
            half=half,
            workspace_mib=build["workspace"],
            extra=build["extra"],
        ),
    )


def _precision(build: dict[str, Any], *, quantized: bool, half: bool) -> "Precision":
    """Take INT8 where there are scales for it, else what the ONNX is."""
    from polyyolo.engines import spellings
    from polyyolo.records import Precision

    scaled = bool(quantized or build["cache"] or build["route"] == "calibrated")
    named = Precision(build["precision"]) if build["precision"] else None
    asked = spellings.precision(spelt(build), named, scaled=scaled)
    return asked or (Precision.INT8 if scaled else Precision.FP16 if half else Precision.FP32)


def with_cache(asked: BuildRequest, engine: Path) -> BuildRequest:
    """Put the calibration cache that has to be made beside the engine that it is for.

    Raises:
        PictureError: TensorRT shall calibrate, and the pictures cannot be used.
        InputError: it shall, and no pictures were given.
    """
    if not asked.pictures:
        if asked.calibrator:
            raise InputError("--calibrator wants pictures", fix="give a folder of pictures or an .npy with --calib")
        return asked
    refuse_nameless(engine)
    cache = engine.with_name(f"{engine.name}.cache")
    placed = evolve(asked, options=evolve(asked.options, calibration_cache=cache))
    if not asked.calibrator:
        return placed
    from polyyolo.feeding import calibration_for

    made = calibration_for(asked.spec, asked.pictures, asked.profile, asked.calibrator, cache)
    return evolve(placed, calibration=made, options=evolve(placed.options, feed=made.feed))


def with_float_layers(asked: BuildRequest) -> BuildRequest:
    """Tell which layers stay in float: those of the cache's manifest, or of the cache that pictures will make.

    A cache without a manifest tells of none, and TensorRT's own calibrator keeps none.

    Raises:
        TableError: the manifest is damaged.
        ModelError: nothing in the model could run in INT8.
    """
    from polyyolo.calibrating import kept_in_float
    from polyyolo.calibration.cache_manifest import float_layers_of

    cache = asked.options.calibration_cache
    if cache is None or asked.calibration:
        return asked
    layers = kept_in_float(asked.spec, asked.profile) if asked.pictures else float_layers_of(cache)
    return evolve(asked, options=evolve(asked.options, float_layers=layers))


def _model(build: dict[str, Any]) -> str:
    named = [name for name in (build["model"], build["spelt_onnx"]) if name]
    if len(named) != 1:
        raise InputError(
            "no model was named" if not named else f"two models were named: {named[0]} and {named[1]}",
            fix="give MODEL, a path or a name, once",
        )
    return str(named[0])


def _profile(build: dict[str, Any], spec: "ModelSpec") -> "Profile":
    """Take the profile that is named, else the one that --batch or shapes stand for, else the model's own."""
    from polyyolo.engines import profiles, spellings

    typed = spelt(build)
    if not build["profile"]:
        return spellings.profile(typed, spec) or profiles.default(spec)
    if typed.batch or any(text is not None for text in typed.shapes.values()):
        raise InputError("--profile was given, and --batch or shapes too", fix="give one of them")
    return profiles.load(build["profile"], spec)


def _toolchain(kind: str, tensorrt: str | None) -> "Toolchain":
    from polyyolo.engines.toolchain import find, named
    from polyyolo.records import ToolchainKind

    if tensorrt is None:
        return find(kind)
    return named(tensorrt, kind=ToolchainKind.RTX if kind == "rtx" else ToolchainKind.TENSORRT)
