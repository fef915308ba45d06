"""Options as trtexec's users are used to type them, and the words behind ``--``, which are none of ours."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from polyyolo.engines.spellings import Spelt

EXTRA = "polyyolo.extra"
BOUNDS = ("min", "opt", "max")


def _hidden(spelling: str, name: str, **more: Any) -> Callable[..., Any]:  # noqa: ANN401 - click's
    return click.option(spelling, f"spelt_{name}", hidden=True, **more)


FAMILIAR = (
    click.option(
        "--workspace", type=click.IntRange(1), metavar="MIB", help="memory that the builder may use  [its own choice]"
    ),
    click.option("--batch", type=click.IntRange(1), help="pictures a query, of a model whose batch is open"),
    _hidden("--onnx", "onnx", metavar="MODEL"),
    *(_hidden(f"--{flag}", flag, is_flag=True) for flag in ("best", "fp16", "int8")),
    *(_hidden(f"--{bound}Shapes", bound) for bound in BOUNDS),
    _hidden("--explicitBatch", "explicit_batch", is_flag=True),
    _hidden("--buildOnly", "build_only", is_flag=True),
    _hidden("--skipInference", "skip_inference", is_flag=True),
)
NAMES = (
    *(
        "workspace",
        "batch",
        "spelt_onnx",
        "spelt_best",
        "spelt_fp16",
        "spelt_int8",
        "spelt_min",
        "spelt_opt",
        "spelt_max",
    ),
    *("spelt_explicit_batch", "spelt_build_only", "spelt_skip_inference"),
)


def save_engine(command: Callable[..., Any]) -> Callable[..., Any]:
    """Let -o be spelt --saveEngine; trtexec's own --output was a tensor, so that both may be there."""
    return click.option(
        *("-o", "--output", "--saveEngine"),
        required=True,
        multiple=True,
        type=click.Path(path_type=Path),
        callback=_the_only,
        help="engine file to write",
    )(command)


def _the_only(_context: click.Context, _option: click.Parameter, paths: tuple[Path, ...]) -> Path:
    if len(set(paths)) > 1:
        raise click.UsageError(
            f"two files to write: {' and '.join(map(str, dict.fromkeys(paths)))}; -o, --output and --saveEngine are "
            "the same here, and trtexec's --output, which named tensors, is not needed for an ONNX"
        )
    return paths[0]


class PassingOn(click.Command):
    """A command that keeps what stands behind ``--`` for another program."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Take the words behind the first ``--`` away before click reads the rest."""
        own, extra = (args[: args.index("--")], args[args.index("--") + 1 :]) if "--" in args else (args, [])
        ctx.meta[EXTRA] = tuple(extra)
        return super().parse_args(ctx, own)

    def collect_usage_pieces(self, ctx: click.Context) -> list[str]:
        """Tell of the words behind ``--``."""
        return [*super().collect_usage_pieces(ctx), "[-- WORDS FOR THE BUILDER]"]


def spelt(build: dict[str, Any]) -> "Spelt":
    """Collect what was given in trtexec's spelling."""
    from polyyolo.engines.spellings import IDLE, Spelt

    return Spelt(
        best=build["spelt_best"],
        fp16=build["spelt_fp16"],
        int8=build["spelt_int8"],
        batch=build["batch"],
        shapes={bound: build[f"spelt_{bound}"] for bound in BOUNDS},
        idle=tuple(name for name in IDLE if build[f"spelt_{name}"]),
    )
