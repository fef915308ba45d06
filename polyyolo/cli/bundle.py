"""polyyolo bundle: what a machine needs that has trtexec and nothing else."""

from pathlib import Path

import click

from polyyolo.cli.console import bars, print_json, quiet_option

PATH = click.Path(path_type=Path)


@click.command()
@click.argument("run", type=PATH)
@click.option("-o", "--output", required=True, type=PATH, help="a new folder, or a .tar.gz")
@click.option("--images", type=PATH, help="pictures to check the engine with  [some that the run calibrated with]")
@click.option(
    "--pictures", type=click.IntRange(0), default=12, show_default=True, help="how many of them, at most; 0 for none"
)
@click.option(
    "--with-cache", is_flag=True, help="add the FP32 model and a calibration cache, for build.sh calibrated (8.5 to 10)"
)
@click.option("--json", "as_json", is_flag=True, help="print JSON")
@quiet_option
def bundle(  # noqa: PLR0913 - one for each option
    *, run: Path, output: Path, images: Path | None, pictures: int, with_cache: bool, as_json: bool, quiet: bool
) -> None:
    """Pack RUN, the folder of an INT8 run, for a machine that has trtexec and a shell and nothing else.

    There: sh build.sh, then sh bench.sh. What that wrote comes back with polyyolo report RUN --from FOLDER.
    """
    from polyyolo.bundling.pack import Wanted, pack

    with bars(quiet=quiet or as_json) as shown:
        packed = pack(run, output, Wanted(pictures, images, with_cache))
    if as_json:
        routes = [route.value for route in packed.bundle.routes]
        told = {"bundle": str(packed.path), "bytes": packed.size_bytes, "routes": routes}
        print_json({**told, "references": len(packed.bundle.references), "warnings": shown.warnings})
    else:
        click.echo(f"{packed.path}: {packed.size_bytes:,} bytes; there: sh build.sh, then sh bench.sh")
