"""polyyolo inspect layers ENGINE|layers.json: what TensorRT made of a model."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from attrs import frozen

from polyyolo.cli.console import print_json, printable
from polyyolo.errors import InputError

if TYPE_CHECKING:
    from polyyolo.engine_layers.changes import Change, Timed
    from polyyolo.engine_layers.findings import Findings
    from polyyolo.records.layers import EngineLayer

EXPORT = ".json"
ENGINES = (".engine", ".plan", ".trt")
MOST_CHANGES = 25
WIDTH = 50
STYLES = {"INT8": "green", "FP8": "green", "FP16": "yellow", "BF16": "yellow", "FP32": "red"}


@frozen
class LayersRequest:
    """What to show of an engine.

    Attributes:
        profile: trtexec's ``--exportProfile`` of the same engine.
        log: of its build.
        against: a second engine or export, with its own profile.
        plot: SVG to write.
        every: layers that take no time too.
    """

    profile: Path | None
    log: Path | None
    against: Path | None
    against_profile: Path | None
    plot: Path | None
    every: bool
    as_json: bool


def is_engine(path: Path) -> bool:
    """Whether a file is an engine or an export of its layers, by its name or its first bytes; it need not be there."""
    from polyyolo.models.strangers import holds_plan

    if path.suffix.lower() in (*ENGINES, EXPORT):
        return True
    return path.is_file() and holds_plan(path)


def show(path: Path, asked: LayersRequest) -> None:
    """Print the layers of an engine, or what changed against another.

    Raises:
        InputError: a file cannot be read, is something else, or would be lost to the plot.
        ToolchainError: an engine cannot be loaded here.
    """
    from polyyolo.engine_layers.changes import changes
    from polyyolo.engine_layers.findings import findings
    from polyyolo.engine_layers.reasons import missing_scales
    from polyyolo.files import refuse_same, write_text

    if asked.plot:
        refuse_same(asked.plot, *filter(None, (path, asked.profile, asked.log, asked.against, asked.against_profile)))
    engine = _read(path, asked.profile)
    unscaled = missing_scales(asked.log) if asked.log else frozenset()
    found = findings(engine.layers, engine.times, unscaled)
    if asked.against_profile and not asked.against:
        raise InputError("--against-profile needs --against", fix="name the other engine or export too")
    compared = changes(engine, _read(asked.against, asked.against_profile)) if asked.against else None
    if asked.plot:
        from polyyolo.reports import layers_plot

        write_text(asked.plot, layers_plot.svg(found, title=path.stem))
    if asked.as_json:
        print_json(_plain(found, compared))
    else:
        _print(found, compared, every=asked.every)


def _read(path: Path, profile: Path | None) -> "Timed":
    from polyyolo.engine_layers.changes import Timed
    from polyyolo.engine_layers.inspector import inspect_engine
    from polyyolo.engine_layers.reading import read_layers, read_profile

    layers = read_layers(path) if path.suffix.lower() == EXPORT else inspect_engine(path)
    return Timed(layers, read_profile(profile) if profile else None)


def _plain(found: "Findings", compared: "tuple[Change, ...] | None") -> dict[str, Any]:
    from polyyolo.files import plain

    told: dict[str, Any] = plain(found)
    return told if compared is None else {**told, "changes": plain(compared)}


def _print(found: "Findings", compared: "tuple[Change, ...] | None", *, every: bool) -> None:
    from rich.console import Console

    console = Console()
    console.print(_table(found, every=every) if compared is None else _changes_table(compared))
    click.echo(printable("\n".join(_summary(found))))
    if compared:
        extra = [change.extra_ms for change in compared if change.extra_ms is not None]
        told = f"; together the second takes {1000 * sum(extra):+.1f} us" if extra else ""
        click.echo(f"{sum(change.is_other for change in compared)} of {len(compared)} parts differ{told}")


def _table(found: "Findings", *, every: bool) -> Any:  # noqa: ANN401 - rich is imported when it is used
    from rich.table import Table
    from rich.text import Text

    table = Table("layer", "kind", "in", "out", "us", "share", "in float because")
    table.columns[0].overflow = "fold"  # as of a model
    for layer in found.layers if every else found.busy:
        style = STYLES.get(layer.precision, "default")
        table.add_row(
            Text(printable(_short(layer))),
            Text(printable(layer.kind)),
            ", ".join(dict.fromkeys(layer.inputs)),
            f"[{style}]{', '.join(dict.fromkeys(layer.outputs))}[/]",
            "" if layer.time_ms is None else f"{1000 * layer.time_ms:.1f}",
            "" if layer.share is None else f"{layer.share:.1%}",
            layer.reason,
        )
    return table


def _short(layer: "EngineLayer") -> str:
    """Name a layer by its first node, for whole names fill lines."""
    more = len(layer.nodes) - 1
    if layer.move or not layer.nodes:
        name = layer.name.replace("Reformatting CopyNode for", "reformat")
        return name if len(name) <= WIDTH else f"{name[: WIDTH - 1]}…"
    return layer.nodes[0] + (f" +{more}" if more else "")


def _changes_table(compared: "tuple[Change, ...]") -> Any:  # noqa: ANN401 - as above
    from rich.table import Table
    from rich.text import Text

    table = Table("part", "first", "second", "us", "extra us", "of it moves")
    table.columns[0].overflow = "fold"
    timed = any(change.extra_ms is not None for change in compared)
    shown = sorted(compared, key=lambda change: -abs(change.extra_ms or 0.0)) if timed else compared
    for change in [each for each in shown if timed or each.is_other][:MOST_CHANGES]:
        sides = (change.first, change.second)
        table.add_row(
            Text(printable(change.part)),
            *("; ".join(side.types) for side in sides),
            " / ".join(_microseconds(side.time_ms) for side in sides),
            "" if change.extra_ms is None else f"{1000 * change.extra_ms:+.1f}",
            " / ".join(_microseconds(side.moves_ms) for side in sides),
        )
    return table


def _microseconds(time_ms: float | None) -> str:
    return "-" if time_ms is None else f"{1000 * time_ms:.1f}"


def _summary(found: "Findings") -> list[str]:
    from collections import Counter

    by = "the time of computing" if found.time_ms is not None else "the layers that compute"
    weighted = f"{found.weighted_int8} of {found.weighted} convolutions and matrix products"
    lines = [f"INT8: {found.coverage:.1%} of {by}; {weighted}"]
    for moves in found.moves:
        share = f", {_microseconds(moves.time_ms)} us" if moves.time_ms is not None else ""
        if moves.time_ms is not None and found.time_ms:
            share += f" ({moves.time_ms / found.time_ms:.1%})"
        lines.append(f"moves, {moves.purpose}: {moves.count}{share}")
    lines += [f"float island in INT8: {', '.join(island.layers)}" for island in found.islands]
    reasons = Counter(layer.reason for layer in found.layers if layer.reason)
    lines += [f"in float, {reason}: {count}" for reason, count in reasons.items()]
    if found.time_ms is None:
        lines.append("times: give --profile, of trtexec --separateProfileRun --exportProfile=profile.json")
    else:
        lines.append(f"{1000 * found.time_ms:.1f} us for all layers one by one; a CUDA graph needs less")
    return lines
