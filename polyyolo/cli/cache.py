"""polyyolo cache: TensorRT's calibration caches, from and to everything else."""

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from polyyolo.cli.cache_text import difference_lines, fitness_lines, scale_table
from polyyolo.cli.console import bars, print_json, printable
from polyyolo.cli.ranges import Finite
from polyyolo.cli.size import size_option
from polyyolo.records import USUAL, Toolchain, ToolchainKind

if TYPE_CHECKING:
    from polyyolo.quantization.cache_exchange import Imported
    from polyyolo.quantization.placement import FloatBudget
    from polyyolo.records import CalibrationTable, ModelSpec

PATH = click.Path(path_type=Path)
UNFIT = 1
TABLE_SUFFIX = ".json"

as_json_option = click.option("--json", "as_json", is_flag=True, help="print JSON")
keep_option = click.option(
    "--keep-float",
    multiple=True,
    metavar="stem|none|NODE",
    help="what stays in float besides the head  [as in the run, cache or Q/DQ model, if it tells; else stem]",
)
budget_option = click.option(
    "--budget",
    type=Finite(0, 1),
    help=f"share of the work that may be in float with stem, the head's with it  [{USUAL.budget}]",
)


@click.group()
def cache() -> None:
    """Show, check, compare and convert TensorRT calibration caches (TensorRT 8.5 to 10)."""


@cache.command()
@click.argument("path", metavar="CACHE", type=PATH)
@as_json_option
def show(path: Path, *, as_json: bool) -> None:
    """Print the scales of CACHE and the largest magnitudes that they stand for."""
    from polyyolo.calibration import cache_file, cache_manifest
    from polyyolo.files import plain

    found, manifest = cache_file.read(path), cache_manifest.read(path)
    if as_json:
        print_json({**plain(found), "manifest": plain(manifest)})
        return
    major, minor = found.release
    click.echo(f"{path}: {len(found.scales)} scales by TensorRT {major}.{minor}, {found.algorithm}")
    if manifest:
        click.echo(
            f"made for model {printable(manifest.model_sha256[:12])} by {printable(manifest.method)} from "
            f"{manifest.pictures} pictures in {manifest.batches} batches"
        )
        click.echo(f"kept in float besides the head: {printable(', '.join(manifest.float_layers) or 'nothing')}")
    scale_table(found)


@cache.command()
@click.argument("path", metavar="CACHE", type=PATH)
@click.option("--model", required=True, help="the FP32 model: a path or a name")
@click.option("--tensorrt", metavar="8.6|10.16", help="release that will read it")
@click.option("--all", "every", is_flag=True, help="list every tensor  [the first 8]")
@as_json_option
def check(path: Path, model: str, tensorrt: str | None, *, every: bool, as_json: bool) -> None:
    """Hold CACHE against a model; exit with 1 when it must not be used."""
    from polyyolo.files import plain
    from polyyolo.quantization import cache_fit

    there = Toolchain(ToolchainKind.TENSORRT, tensorrt) if tensorrt else None
    fitness = cache_fit.check(path, _spec(model), there)
    if as_json:
        print_json({"usable": not fitness.errors, **plain(fitness)})
    else:
        click.echo(printable("\n".join(fitness_lines(path, fitness, every=every))))
    raise SystemExit(UNFIT if fitness.errors else 0)


@cache.command()
@click.argument("first", type=PATH)
@click.argument("second", type=PATH)
@click.option("--count", type=click.IntRange(1), default=20, show_default=True, help="tensors to list, at most")
@as_json_option
def diff(first: Path, second: Path, count: int, *, as_json: bool) -> None:
    """List tensors whose scales differ between two caches, largest ratios first."""
    from polyyolo.calibration import cache_file
    from polyyolo.calibration.exchange import difference
    from polyyolo.files import plain

    found = difference(cache_file.read(first), cache_file.read(second))
    if as_json:
        print_json(plain(found))
    else:
        click.echo(printable("\n".join(difference_lines(found, count))))


@cache.command()
@click.argument("source", metavar="RUN|TABLE", type=PATH)
@click.option("-o", "--output", required=True, type=PATH, help="cache to write; its manifest goes beside it")
@click.option("--tensorrt", required=True, metavar="8.6|10.16", help="release that will read it, 8.5 to 10.16")
@click.option(
    "--algorithm",
    default="EntropyCalibration2",
    show_default=True,
    type=click.Choice(["EntropyCalibration2", "MinMaxCalibration", "EntropyCalibration", "LegacyCalibration"]),
    help="for the header; trtexec reads only the default",
)
@click.option("--model", help="the model that the table was made for  [model.onnx beside it]")
@size_option("height and width  [the model's own, or 640]")
@keep_option
@budget_option
@as_json_option
def export(source: Path, output: Path, model: str | None, *, as_json: bool, **options: Any) -> None:  # noqa: ANN401 - click's
    """Write the ranges of a run, or of a table, as a calibration cache; head and decode are left out."""
    from polyyolo.calibration import cache_file, cache_manifest
    from polyyolo.calibration.exchange import read_table
    from polyyolo.decisions import CACHE
    from polyyolo.errors import InputError
    from polyyolo.files import refuse_same
    from polyyolo.models.own_size import own_size
    from polyyolo.models.reading import files_of
    from polyyolo.quantization import cache_exchange
    from polyyolo.quantizing import TABLE
    from polyyolo.workspace import LEDGER, REPORT, unchanged

    path = source / TABLE if source.is_dir() else source
    if source.is_dir() and not path.exists():
        raise InputError(f"{source} has no {TABLE}", fix="name the folder of a run in INT8, or a table")
    is_run = source.is_dir() and (source / LEDGER).is_file()
    table = read_table(unchanged(source, TABLE) if is_run else path)
    spec = _spec(model) if model else _beside(source)
    of_run = [each for each in path.parent.iterdir() if each.name != CACHE] if (path.parent / REPORT).is_file() else []
    for written in (output, cache_manifest.beside(output)):
        refuse_same(written, path, *files_of(spec.path), *of_run)
    with bars(quiet=as_json) as shown:
        kept = None if options["keep_float"] else _of_run(source)
        budget = _budget(options, spec, kept)
        table, placement = cache_exchange.fitted(table, spec, options["size"] or own_size(spec), budget)
        header = cache_exchange.Header(options["tensorrt"], options["algorithm"])
        manifest = cache_exchange.export_cache(table, spec, placement, output, header)
    scales = len(cache_file.read(output).scales)
    told = {
        "cache": str(output),
        "tensors": scales,
        "float_layers": manifest.float_layers,
        "model": str(spec.path),
        "warnings": shown.warnings,
    }
    if as_json:
        print_json(told)
    else:
        click.echo(
            f"{output}: {scales} scales for TensorRT {header.tensorrt}; "
            f"{shlex.join(['polyyolo', 'build', str(spec.path), '--calib', str(output)])} "
            f"builds with it, {len(manifest.float_layers)} layers in float"
        )


@cache.command(name="import")
@click.argument("source", metavar="CACHE|QDQ.ONNX", type=PATH)
@click.option("--model", required=True, help="the FP32 model: a path or a name")
@click.option(
    "-o", "--output", required=True, type=PATH, help="a table (.json), or a Q/DQ model (.onnx) for any TensorRT"
)
@size_option("height and width  [the model's own, or 640]")
@keep_option
@budget_option
@as_json_option
def import_(source: Path, model: str, output: Path, *, as_json: bool, **options: Any) -> None:  # noqa: ANN401 - click's
    """Take over the scales of a calibration cache, or of a Q/DQ model from anywhere, for an FP32 model."""
    from polyyolo.calibration import cache_manifest
    from polyyolo.errors import InputError
    from polyyolo.files import refuse_same, write_json
    from polyyolo.images.presets import preprocessing_for
    from polyyolo.models.own_size import own_size
    from polyyolo.models.reading import files_of
    from polyyolo.quantization import cache_exchange
    from polyyolo.workspace import LEDGER

    suffix = output.suffix.lower()
    if suffix not in {TABLE_SUFFIX, cache_exchange.ONNX}:
        raise InputError(
            f"{output} is neither {TABLE_SUFFIX} nor {cache_exchange.ONNX}",
            fix="call a table .json, a Q/DQ model .onnx; polyyolo cache export makes a cache of a table",
        )
    if suffix == TABLE_SUFFIX and (options["keep_float"] or options["budget"] is not None):
        raise InputError(
            "a table does not tell what stays in float", fix=f"leave --keep-float and --budget to what reads {output}"
        )
    spec = _spec(model)
    of_cache = () if source.suffix.lower() == cache_exchange.ONNX else (cache_manifest.beside(source),)
    of_run = (output,) if output.exists() and (output.parent / LEDGER).is_file() else ()
    refuse_same(output, source, *files_of(spec.path), *of_cache, *of_run)
    size = options["size"] or own_size(spec)
    with bars(quiet=as_json) as shown:
        found = cache_exchange.import_scales(source, spec, preprocessing_for(spec, size))
        if suffix == TABLE_SUFFIX:
            write_json(output, found.table)
            how = "a calibration table"
        else:
            kept = None if options["keep_float"] else _of_source(found, spec)
            how = _quantized(found.table, spec, output, (size, _budget(options, spec, kept)))
    if as_json:
        missing = list(found.missing)
        told = {"output": str(output), "tensors": len(found.table.ranges), "renamed": found.renamed}
        print_json({**told, "missing": missing, "warnings": shown.warnings})
        return
    click.echo(f"{output}: {how}, {len(found.table.ranges)} ranges taken over, {found.renamed} under other names")
    click.echo("\n".join(f"no range, stays in float: {name}" for name in found.missing), nl=bool(found.missing))


def _quantized(
    table: "CalibrationTable", spec: "ModelSpec", output: Path, how: "tuple[tuple[int, int], FloatBudget]"
) -> str:
    """Write a model with its Q/DQ nodes, and say so."""
    from polyyolo.quantization.cache_exchange import fitted
    from polyyolo.quantization.quantize import quantize

    filled, placement = fitted(table, spec, *how)
    quantize(spec, filled, placement, output)
    return f"a Q/DQ model with {len(placement.nodes)} nodes in INT8"


def _spec(model: str) -> "ModelSpec":
    from polyyolo.models.spec import read_spec
    from polyyolo.models.zoo import locate

    return read_spec(locate(model))


def _beside(source: Path) -> "ModelSpec":
    """Read the model that a run calibrated: it lies beside the table.

    Raises:
        InputError: it does not.
    """
    from polyyolo.errors import InputError
    from polyyolo.stages import PREPARED

    path = (source if source.is_dir() else source.parent) / PREPARED
    if not path.is_file():
        raise InputError(f"no {PREPARED} lies beside the table in {path.parent}", fix="name the model with --model")
    return _spec(str(path))


def _of_run(run: Path) -> "FloatBudget | None":
    """Say what a run kept in float; nothing where it is no run, or has no report."""
    from polyyolo.reports.reading import float_of, read_run
    from polyyolo.workspace import REPORT

    return float_of(read_run(run)) if (run / REPORT).is_file() else None


def _of_source(found: "Imported", spec: "ModelSpec") -> "FloatBudget | None":
    """Say what a Q/DQ model or a cache of polyyolo's kept in float; nothing for a cache that does not tell."""
    from polyyolo.quantization.placement import FloatBudget
    from polyyolo.quantization.quantize import known_nodes

    return None if found.in_float is None else FloatBudget(names=known_nodes(spec, found.in_float))


def _budget(options: dict[str, Any], spec: "ModelSpec", kept: "FloatBudget | None") -> "FloatBudget":
    """Say what stays in float: as asked, else ``kept``, as the scales' source has it, else what is nearest the image.

    Raises:
        InputError: a node that is not there, or a share of the work that nothing would ask for.
    """
    from polyyolo.errors import InputError
    from polyyolo.quantization.quantize import budget_of

    asked, share = options["keep_float"], options["budget"]
    if share is not None and (kept or (asked and "stem" not in asked)):
        raise InputError("--budget is for --keep-float stem", fix="add --keep-float stem, or leave --budget out")
    if kept:
        return kept
    return budget_of(spec, asked or ("stem",), USUAL.budget if share is None else share)
