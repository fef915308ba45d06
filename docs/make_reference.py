# noqa: INP001 - a script beside pages, no package
"""Write docs/reference.md from the code: every command with its options, and the files that polyyolo reads and writes.

Run it with ``make docs``. It is made of click's parameters and of the records' own docstrings, not of help texts as
they are printed: those look different from one release of click to the next.
"""

import argparse
import inspect
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

import attrs
import click

from polyyolo import loader
from polyyolo.bundling.contents import Bundle, Reference
from polyyolo.calibration.cache_manifest import CacheManifest
from polyyolo.calibration.feed_count import FeedCount
from polyyolo.cli import main
from polyyolo.detection.result import Detected
from polyyolo.engines.profiles import ready
from polyyolo.plugin import argument_groups
from polyyolo.quantization.lint.table import CHECKS
from polyyolo.records import (
    Benchmark,
    CalibrationSet,
    CalibrationTable,
    Check,
    EngineLayer,
    Fidelity,
    Head,
    Latency,
    Layer,
    ModelSpec,
    Preprocessing,
    Run,
    Sensitivity,
    Verification,
)
from polyyolo.records.comparison import Compared, Comparison, Figures
from polyyolo.reports import manifest
from polyyolo.workspace import StepEntry

OUTPUT = Path(__file__).with_name("reference.md")
RECORDS: Sequence[tuple[str, str, type]] = (
    ("`report.json`", "Everything that a run came to, for scripts.", Run),
    ("`report.json`: model", "Under `source` (as given) and `built` (what the engine was made from).", ModelSpec),
    ("`report.json`: head", "Under `head` of a model.", Head),
    ("`report.json`: preprocessing", "How a picture becomes a tensor.", Preprocessing),
    ("`report.json`: calibration", "The pictures that were used.", CalibrationSet),
    ("`report.json`: fidelity", "What the model keeps of FP32.", Fidelity),
    ("`report.json`: layer", "One entry of `layers`.", Layer),
    ("`report.json`: sensitivity", "One entry of `sensitivities`.", Sensitivity),
    ("`report.json`: check", "One entry of `verdict.checks`.", Check),
    ("`report.json`: engine layer", "A layer of a built engine, as TensorRT made it.", EngineLayer),
    ("`benchmark.json`", "One entry of `benchmarks`: what `polyyolo bench` measured.", Benchmark),
    ("`benchmark.json`: latency", "How a duration was distributed.", Latency),
    ("`verification.json`", "What `polyyolo verify` came to.", Verification),
    ("`comparison.json`", "What `polyyolo compare` came to.", Comparison),
    ("`comparison.json`: variant", "One entry of `variants`.", Compared),
    ("`comparison.json`: figures", "Under `figures` of a variant.", Figures),
    ("`summary.json`", "What `polyyolo detect` did.", Detected),
    ("`bundle.json`", "What `polyyolo bundle` packed.", Bundle),
    ("`bundle.json`: reference", "One entry of `references`.", Reference),
    ("`calibration.json`", "The calibration table.", CalibrationTable),
    ("`calibration.cache.json`", "What a TensorRT calibration cache was made with, beside the cache.", CacheManifest),
    ("`steps.json`", "One entry a step: what a later run compares with.", StepEntry),
    ("Count file", "Whether a calibrator took every batch; `POLYYOLO_COUNT_FILE` names it.", FeedCount),
)


def reference() -> str:
    """Give the whole page as Markdown."""
    sections = [
        "# Reference",
        "Made from the code by `make docs`; do not edit it here.",
        "## Commands",
        "`-h` and `--help` of each command tell the same.",
        *_commands(main, "polyyolo"),
        "## Options of `polygraphy run`",
        "Beside Polygraphy's own, where polyyolo is installed. See [polygraphy.md](polygraphy.md).",
        _plugin(),
        "## Files",
        *_files(),
        "## Settings of the loader",
        _settings(),
        "## Ready profiles",
        "\n".join(f"- [`{name}`](../profiles/{name}.toml)" for name in ready()),
        "## Rules of `polyyolo inspect qdq`",
        _rules(),
    ]
    return "\n\n".join(sections) + "\n"


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Lay out a Markdown table."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)


def _commands(command: click.Command, path: str) -> Iterator[str]:
    if isinstance(command, click.Group):
        context = click.Context(command, info_name=path)
        for name in command.list_commands(context):
            inner = command.get_command(context, name)
            if inner is not None:
                yield from _commands(inner, f"{path} {name}")
        return
    arguments = [_argument(each) for each in command.params if isinstance(each, click.Argument)]
    options = [each for each in command.params if isinstance(each, click.Option)]
    yield f"### {path}"
    yield " ".join((command.help or "").split())
    yield f"```text\n{' '.join([path, '[OPTIONS]', *arguments])}\n```"
    yield table(("option", "value", "what"), map(_option, options))


def _argument(argument: click.Argument) -> str:
    return argument.metavar or (argument.name or "").upper()


def _option(option: click.Option) -> tuple[str, str, str]:
    names = ", ".join(f"`{name}`" for name in [*option.opts, *option.secondary_opts])
    usual = (option.opts if option.default else option.secondary_opts) if option.secondary_opts else option.default
    brackets = ["required"] if option.required else [_default(usual)] if option.show_default else []
    told = [*filter(None, [option.help]), *(f"[{each}]" for each in brackets)]
    return names, _value(option), " ".join(" ".join(told).split())


def _value(option: click.Option) -> str:
    if option.is_flag:
        return ""
    if isinstance(option.type, click.Choice):
        return " ".join(f"`{choice}`" for choice in option.type.choices)
    name = "H W" if option.nargs == 2 else option.type.name.partition(" ")[0]
    return f"`{option.metavar or name}`" + (", repeatable" if option.multiple else "")


def _default(value: object) -> str:
    return " ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)


def _files() -> Iterator[str]:
    for title, what, record in RECORDS:
        yield f"### {title}"
        yield what
        meanings = _meanings(record)
        yield table(
            ("key", "type", "meaning"),
            [
                (f"`{field.name}`", f"`{_type(field.type)}`", meanings.get(field.name, ""))
                for field in attrs.fields(record)
            ],
        )
    yield "### `manifest.json`"
    yield _paragraph(manifest.__doc__ or "", manifest.of)


def _meanings(record: type) -> dict[str, str]:
    """Read the Attributes of a record's docstring: name -> meaning."""
    text = inspect.getdoc(record) or ""
    _, _, attributes = text.partition("Attributes:\n")
    found: dict[str, str] = {}
    for entry in re.split(r"\n(?= {4}\w+:)", "\n" + attributes):
        name, colon, meaning = entry.strip().partition(":")
        if colon and name.isidentifier():
            found[name] = " ".join(meaning.split()).replace("``", "`")
    return found


def _type(annotation: object) -> str:
    if isinstance(annotation, type) and not getattr(annotation, "__args__", ()):
        return annotation.__name__
    return re.sub(r"\b(?:\w+\.)+(\w+)", r"\1", str(annotation))


def _paragraph(what: str, function: Callable[..., object]) -> str:
    """Give a sentence, and what a function's docstring says of its result."""
    returns = (inspect.getdoc(function) or "").partition("Returns:")[2]
    return f"{what} It has the {' '.join(returns.split())}".replace("``", "`")


def _plugin() -> str:
    """List what the plugin adds: its options, and its runner."""
    parser = argparse.ArgumentParser(add_help=False)
    images, boxes, runner, _ = argument_groups()
    for group in (images, boxes):
        group.add_parser_args(parser)
    rows = [
        (f"`{action.option_strings[0]}`", f"`{_metavar(action)}`", " ".join(str(action.help).split()))
        for action in parser._actions  # noqa: SLF001 - argparse has no other way to list them
    ]
    name, option = runner.get_name_opt()
    return table(
        ("option", "value", "what"),
        [*rows, (f"`--{option}`", "", f"Run inference using {name}. {runner.get_extra_help_text()}")],
    )


def _metavar(action: argparse.Action) -> str:
    return f"[{action.metavar}]" if action.nargs == "?" else str(action.metavar)


def _settings() -> str:
    """Take the table out of the loader's docstring."""
    found = re.findall(r"^    (POLYYOLO_\w+)\s+(.+)$", loader.__doc__ or "", re.MULTILINE)
    rows = [(f"`{name}`", f"`{name.removeprefix(loader.PREFIX).lower()}`", what) for name, what in found]
    return table(("variable", "key of the TOML file", "what, and what it is otherwise"), rows)


def _rules() -> str:
    rows = [(f"`{rule.name}`", rule.severity.value, rule.message, rule.cost, rule.fix) for rule in CHECKS]
    return table(("rule", "severity", "what is wrong", "what it costs", "fix"), rows)


if __name__ == "__main__":
    OUTPUT.write_text(reference(), encoding="utf-8")
