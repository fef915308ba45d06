"""polyyolo build: run what ``polyyolo plan`` prints."""

from pathlib import Path
from typing import Any

import click

from polyyolo.cli.build_options import BuildRequest, build_options, read, with_cache, with_float_layers
from polyyolo.cli.console import bars, print_json, quiet_option
from polyyolo.cli.familiar_options import PassingOn, save_engine


@click.command(cls=PassingOn)
@build_options
@save_engine
@click.option("--json", "as_json", is_flag=True, help="print JSON")
@quiet_option
def build(build: dict[str, Any], output: Path, *, as_json: bool, quiet: bool) -> None:
    """Build MODEL, as it is, into an engine; what the builder prints goes to a .log beside it.

    Options as trtexec has them are understood too: --onnx, --saveEngine, --fp16, --int8, --best, --minShapes and the
    like. Words behind -- go to trtexec or Polygraphy as they are.
    """
    from polyyolo.engines import build as building
    from polyyolo.engines.plan import make_plan
    from polyyolo.files import plain, refuse_same
    from polyyolo.models.reading import files_of

    log = output.parent / f"{output.name}.log"
    with bars(quiet=quiet or as_json) as shown:
        asked = read(build)
        read_from = (*files_of(asked.spec.path), asked.options.calibration_cache, asked.options.timing_cache)
        for written in (output, log):
            refuse_same(written, *filter(None, read_from))
        asked = with_cache(asked, output)
        make_plan(asked.spec, asked.profile, asked.toolchain, output, asked.options)  # it refuses what cannot be built
        asked = with_float_layers(asked)
        made = make_plan(asked.spec, asked.profile, asked.toolchain, output, asked.options)
        _calibrate(asked)
        engine = building.build(made, log)
        _keep(asked)
    if as_json:
        told = {key: value for key, value in plain(engine).items() if key != "plan"}
        said = {"notes": [*shown.notes, *made.notes], "warnings": shown.warnings}
        print_json({**told, **plain(made.command), **said, "log": str(log)})
    else:
        click.echo("".join(f"note: {note}\n" for note in made.notes if not quiet), nl=False)
        click.echo(f"{engine.path}: {engine.size_bytes:,} bytes in {engine.build_seconds:.1f} s; log {log}")


def _calibrate(asked: BuildRequest) -> None:
    """Make the calibration cache where pictures were given for one."""
    cache = asked.options.calibration_cache
    if asked.pictures and cache and not asked.calibration:
        from polyyolo.calibrating import write_cache

        write_cache(asked.spec, asked.pictures, asked.profile, asked.toolchain.tensorrt, cache)


def _keep(asked: BuildRequest) -> None:
    """Keep beside the cache what TensorRT calibrated with."""
    cache = asked.options.calibration_cache
    if asked.calibration and cache:
        from polyyolo.feeding import keep

        keep(asked.calibration, asked.spec, cache)
