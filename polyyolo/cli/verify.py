"""polyyolo verify: what a model or an engine keeps of its accuracy, and whether that is enough."""

from pathlib import Path
from typing import Any

import click

from polyyolo.cli.console import bars, print_json, quiet_option
from polyyolo.cli.engine import EXIT, UNPROVEN
from polyyolo.cli.head_option import head_option
from polyyolo.cli.limit_options import limit_options, taken_out
from polyyolo.cli.preprocessing import preprocessing_options
from polyyolo.cli.size import size_option
from polyyolo.records import Outcome

PATH = click.Path(path_type=Path)


@click.command()
@click.argument("model")
@click.option(
    "--labelled", type=PATH, help="labelled pictures: images/ and labels/, a data.yaml (its val) or a COCO JSON"
)
@click.option("--images", type=PATH, help="pictures without labels; with --labelled, where its pictures are")
@click.option("--against", metavar="MODEL", help="the FP32 model that it was made from, or another to compare with")
@click.option("--model", "onnx", metavar="ONNX", help="for an engine: what it was built from  [its run's report]")
@limit_options
@click.option("--benchmark", type=PATH, metavar="FILE", help="what polyyolo bench wrote  [what lies beside the engine]")
@head_option("the heads' family  [by structure]")
@size_option("height and width  [the model's own]")
@click.option("--prove", is_flag=True, help=f"exit with {UNPROVEN} unless every check was made and passed")
@click.option("-o", "--output", type=PATH, help="folder of the results  [runs/verify/MODEL]")
@click.option("--json", "as_json", is_flag=True, help="print the result as JSON")
@quiet_option
@preprocessing_options
def verify(*, prove: bool, as_json: bool, quiet: bool, **options: Any) -> None:  # noqa: ANN401 - click's options
    """Measure MODEL (an ONNX by path or name, or an engine) on pictures, and hold it against limits.

    An interrupted run goes on where it stopped when it is started again with the same folder of results.
    """
    from polyyolo import verifying
    from polyyolo.cli.verify_text import as_plain, as_text

    with bars(quiet=quiet or as_json) as drawn:
        request = _request(**options)
        found = verifying.verify(request)
    if as_json:
        print_json(as_plain(found, request.folder, drawn.warnings))
    else:
        click.echo(as_text(found, request.folder))
    outcome = found.verdict.outcome
    raise SystemExit(UNPROVEN if prove and outcome is Outcome.UNPROVEN else EXIT[outcome])


def _request(**options: Any) -> Any:  # noqa: ANN401 - click's options; a record that is imported late
    from polyyolo.verifying import VerifyRequest

    folder = options.pop("output") or Path("runs", "verify", _name(Path(options["model"])))
    return VerifyRequest(limits=taken_out(options), folder=folder, **options)


def _name(model: Path) -> str:
    """Name the results for the model; every run calls its files alike, so that those also get the run's name."""
    from polyyolo.workspace import REPORT

    return f"{model.resolve().parent.name}-{model.stem}" if model.with_name(REPORT).is_file() else model.stem
