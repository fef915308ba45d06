"""The command line: one verb a module, loaded when it is used."""

import difflib
import importlib

import click

from polyyolo import __version__
from polyyolo.cli.console import Edge

COMMANDS = {
    "bench": "measure how fast an engine is",
    "build": "build an engine from a prepared ONNX",
    "bundle": "pack what a machine needs that has trtexec and nothing else",
    "cache": "show, check, compare and convert TensorRT calibration caches",
    "compare": "one table of FP32, FP16 and INT8: size, speed, accuracy",
    "detect": "draw what a model sees on pictures or a video",
    "doctor": "tell what this machine can do, and what is missing",
    "engine": "model and pictures in, a proven INT8 engine out",
    "images": "get pictures for a first run",
    "inspect": "look at a model, its layers, or what calibration sees",
    "models": "list the models that can be had by name, or get one as ONNX",
    "plan": "print the exact commands that a build runs",
    "report": "write a run's report again, or read what came back from another machine",
    "surgeon": "apply one graph pass to an ONNX",
    "verify": "measure what a model or an engine keeps of its accuracy, and judge it",
}


class Lazy(Edge):
    """A group that imports a command's module only when that command runs: ``--help`` stays quick."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        """Name every verb."""
        return sorted(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 - click's signature
        """Import the verb's module; its command has the verb's name."""
        if cmd_name not in COMMANDS:
            return None
        module = importlib.import_module(f"polyyolo.cli.{cmd_name}")
        command: click.Command = getattr(module, cmd_name)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Name the verb that was meant, where one is near."""
        near = difflib.get_close_matches(args[0], COMMANDS, n=1)
        if near and args[0] not in COMMANDS:
            ctx.fail(f"No such command {args[0]!r}. Did you mean {near[0]!r}?")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        """List the verbs without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl(sorted(COMMANDS.items()))


@click.group(cls=Lazy, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__)
def main() -> None:
    """Turn a YOLO model and a folder of pictures into an INT8 TensorRT engine that is proven."""
