"""The options that decide a build, the same for ``plan``, which prints it, and ``build``, which runs it."""

from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click
from attrs import frozen

if TYPE_CHECKING:
    from polyyolo.engines.plan import BuildOptions
    from polyyolo.records import ModelSpec, Precision, Profile, Toolchain

Command = TypeVar("Command", bound=Callable[..., Any])

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
        "--route", type=click.Choice(["qdq", "calibrated"]), help="how scales come  [qdq; calibrated with --cache]"
    ),
    click.option(
        "--toolchain", default="auto", show_default=True, type=click.Choice(["auto", "tensorrt", "rtx", "none"])
    ),
    click.option("--program", type=click.Choice(["trtexec", "polygraphy"]), help="what drives the builder"),
    click.option("--cache", type=click.Path(path_type=Path), help="TensorRT calibration cache, up to TensorRT 10"),
    click.option("--timing-cache", type=click.Path(path_type=Path), help="file that makes the next build quicker"),
    click.option("--compute-capability", multiple=True, metavar="8.9", help="GPU to build for, TensorRT for RTX only"),
)


@frozen
class Asked:
    """What the user asked for, read and resolved."""

    spec: "ModelSpec"
    profile: "Profile"
    toolchain: "Toolchain"
    options: "BuildOptions"


def build_options(command: Command) -> Callable[..., Any]:
    """Give a command the argument MODEL and all of ``OPTIONS``; it gets them as one mapping named ``build``."""

    @wraps(command)
    def collecting(*args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 - whatever the command takes and returns
        build = {str(name): kwargs.pop(str(name)) for name in ("model", *NAMES)}
        return command(*args, build=build, **kwargs)

    for add in (*reversed(OPTIONS), click.argument("model")):
        collecting = add(collecting)
    return collecting


NAMES = ("profile", "precision", "route", "toolchain", "program", "cache", "timing_cache", "compute_capability")


def read(build: dict[str, Any], tensorrt: str | None = None) -> Asked:
    """Find the model, the profile and the toolchain that the options name.

    Args:
        build: what ``build_options`` collected.
        tensorrt: version on another machine; None looks at this one.

    Raises:
        InputError: a model, profile or option that cannot be used.
        ToolchainError: the toolchain that was insisted on is not here.
    """
    from polyyolo.engines import profiles
    from polyyolo.engines.half import read_half
    from polyyolo.engines.plan import BuildOptions, Program
    from polyyolo.models.spec import read_spec
    from polyyolo.models.zoo import locate
    from polyyolo.records import Route

    spec = read_spec(locate(build["model"]))
    half = read_half(spec.path)
    return Asked(
        spec=spec,
        profile=profiles.load(build["profile"], spec) if build["profile"] else profiles.default(spec),
        toolchain=_toolchain(build["toolchain"], tensorrt),
        options=BuildOptions(
            precision=_precision(build, quantized=spec.quantized, half=half.anywhere),
            route=Route(build["route"] or ("calibrated" if build["cache"] else "qdq")),
            program=Program(build["program"]) if build["program"] else None,
            calibration_cache=build["cache"],
            timing_cache=build["timing_cache"],
            compute_capabilities=build["compute_capability"],
            half=half,
        ),
    )


def _precision(build: dict[str, Any], *, quantized: bool, half: bool) -> "Precision":
    """Take INT8 where there are scales for it, else what the ONNX is."""
    from polyyolo.records import Precision

    if build["precision"]:
        return Precision(build["precision"])
    scaled = quantized or build["cache"] or build["route"] == "calibrated"
    return Precision.INT8 if scaled else Precision.FP16 if half else Precision.FP32


def _toolchain(kind: str, tensorrt: str | None) -> "Toolchain":
    from polyyolo.engines.toolchain import find, named
    from polyyolo.records import ToolchainKind

    if tensorrt is None:
        return find(kind)
    return named(tensorrt, kind=ToolchainKind.RTX if kind == "rtx" else ToolchainKind.TENSORRT)
