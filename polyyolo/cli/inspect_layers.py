"""polyyolo inspect layers: what each layer computes in, how much, and why it stays in float."""

from pathlib import Path
from typing import Any

import click

from polyyolo.cli.console import print_json, printable
from polyyolo.cli.inspect_layers_engine import LayersRequest, is_engine, show
from polyyolo.cli.ranges import Finite
from polyyolo.cli.size import refuse_size, size_option
from polyyolo.errors import InputError
from polyyolo.records import USUAL, Layer, Precision

PATH = click.Path(path_type=Path)
OF_MODELS = ("size", "keep_float", "budget")
OF_ENGINES = ("profile", "log", "against", "against_profile", "plot")


@click.command()
@click.argument("model", metavar="MODEL|ENGINE|layers.json")
@size_option("model: height and width for counting the work  [its own, or 640 640]")
@click.option(
    "--keep-float",
    multiple=True,
    default=("stem",),
    show_default=True,
    metavar="stem|none|NODE",
    help="model: as polyyolo engine has it; what costs the most cannot be told without pictures",
)
@click.option("--budget", type=Finite(0, 1), default=USUAL.budget, show_default=True, help="model: of stem")
@click.option("--profile", type=PATH, help="engine: times of its layers, from trtexec --exportProfile")
@click.option("--log", type=PATH, help="engine: log of its build, which tells of tensors without a scale")
@click.option("--against", type=PATH, metavar="ENGINE|layers.json", help="engine: tell what is different in this one")
@click.option("--against-profile", type=PATH, help="engine: times of the other one")
@click.option("--plot", type=PATH, metavar="SVG", help="engine: draw the time of each layer")
@click.option("--all", "every", is_flag=True, help="layers without work or time too")
@click.option("--json", "as_json", is_flag=True, help="print the layers as JSON")
@click.pass_context
def layers(ctx: click.Context, /, model: str, *, every: bool, as_json: bool, **options: Any) -> None:  # noqa: ANN401 - click's
    """List the layers of a model as they are or would be quantized, or what TensorRT made of them.

    MODEL is an ONNX or a name. ENGINE needs a GPU and its TensorRT; layers.json is what trtexec --exportLayerInfo wrote
    for an engine built with --profilingVerbosity=detailed, and can be read anywhere.
    """
    given = {name for name in options if ctx.get_parameter_source(name) is click.core.ParameterSource.COMMANDLINE}
    engine = is_engine(Path(model))
    foreign = given & set(OF_MODELS if engine else OF_ENGINES)
    if foreign:
        raise InputError(
            f"--{min(foreign).replace('_', '-')} is for {'models' if engine else 'engines'}, but {model} is none",
            fix="leave it out",
        )
    if engine:
        show(Path(model), LayersRequest(**{name: options[name] for name in OF_ENGINES}, every=every, as_json=as_json))
    else:
        _list(model, **{name: options[name] for name in OF_MODELS}, every=every, as_json=as_json)


def _list(  # noqa: PLR0913 - one parameter an option
    model: str,
    *,
    size: tuple[int, int] | None,
    keep_float: tuple[str, ...],
    budget: float,
    every: bool,
    as_json: bool,
) -> None:
    from polyyolo.files import plain
    from polyyolo.models.own_size import own_size
    from polyyolo.models.spec import read_spec
    from polyyolo.models.zoo import locate
    from polyyolo.quantization.quantize import budget_of
    from polyyolo.verification import layers as listing

    spec = read_spec(locate(model))
    refuse_size(spec, size)
    shape = size or own_size(spec)
    floats = budget_of(spec, keep_float, 0.0 if spec.quantized else budget)
    listed = listing.layers(spec, shape, floats, planned=True)
    share = listing.int8_share(listed)
    if as_json:
        print_json({"int8_share": share, "size": shape, "layers": plain(listed)})
    else:
        total = sum(layer.macs for layer in listed)
        _print(listed if every else [layer for layer in listed if layer.macs], total)
        runs = "run in INT8" if spec.quantized else "would run in INT8"
        click.echo(f"{share:.1%} of {total / 1e9:.2f} GMACs {runs}")


def _print(listed: "tuple[Layer, ...] | list[Layer]", total: int) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table("layer", "op", "precision", "MMACs", "share", "stays in float because")
    table.columns[0].overflow = "fold"  # a name that was cut can be given to no --keep-float
    styles = {Precision.INT8: "green", Precision.FP16: "yellow", Precision.FP32: "red"}
    for layer in listed:
        table.add_row(
            Text(printable(layer.name)),
            Text(printable(layer.kind)),
            f"[{styles[layer.precision]}]{layer.precision.value}[/]",
            f"{layer.macs / 1e6:.1f}",
            f"{layer.macs / total:.1%}" if total else "",
            layer.reason,
        )
    Console().print(table)
