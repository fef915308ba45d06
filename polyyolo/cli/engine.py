"""polyyolo engine: all of it."""

from typing import Any

import click

from polyyolo.cli.console import bars, print_json, quiet_option
from polyyolo.cli.head_option import head_option
from polyyolo.cli.limit_options import limit_options, taken_out
from polyyolo.cli.picture_options import PATH, images_option, labelled_option
from polyyolo.cli.preprocessing import preprocessing_options
from polyyolo.cli.quantizing_options import quantizing_options
from polyyolo.cli.toolchain_option import prepares_option
from polyyolo.records import USUAL, Outcome, Precision, Request, Route

EXIT = {Outcome.PASS: 0, Outcome.FAIL: 1, Outcome.UNPROVEN: 0}
UNPROVEN = 5


@click.command()
@click.argument("model")
@images_option
@labelled_option
@click.option("--profile", metavar="FILE|NAME", help="shapes that the engine must accept  [the model's own]")
@click.option(
    "--precision",
    type=click.Choice([each.value for each in Precision]),
    default=USUAL.precision.value,
    show_default=True,
    help="what the engine computes in",
)
@click.option(
    "--route",
    type=click.Choice([each.value for each in Route]),
    default=USUAL.route.value,
    show_default=True,
    help="how scales reach TensorRT: as Q/DQ nodes in the ONNX, or as a calibration cache (up to TensorRT 10)",
)
@prepares_option
@click.option("--program", type=click.Choice(["trtexec", "polygraphy"]), help="what drives TensorRT  [what is here]")
@head_option()
@quantizing_options
@click.option(
    "--weights",
    default=USUAL.weights,
    show_default=True,
    metavar="max|mse|entropy|percentile-P",
    help="where each output channel of weights is clipped",
)
@click.option(
    "--correct",
    type=click.Choice(["none", "rounding", "bias"]),
    multiple=True,
    default=USUAL.correct,
    show_default=True,
    help="what makes up for the rounding of weights; may be repeated",
)
@click.option(
    "--calibrator",
    type=click.Choice(["entropy2", "minmax", "legacy", "entropy"]),
    help="with --route calibrated: TensorRT's own calibrator, on the GPU  [ours, on the CPU]",
)
@click.option(
    "--shift/--no-shift",
    default=USUAL.shift,
    show_default=True,
    help="let INT8 begin at the lowest value of SiLU and the like where nothing needs it around 0",
)
@click.option("--half-io", is_flag=True, help="let inputs and outputs be FP16")
@click.option(
    "--compute-capability",
    "compute_capabilities",
    multiple=True,
    metavar="8.9",
    help="a GPU to build for, with TensorRT for RTX; may be repeated",
)
@limit_options
@click.option("--no-measure", "measure", flag_value=False, default=True, help="do not run the engine on this GPU")
@click.option("--prove", is_flag=True, help=f"exit with {UNPROVEN} unless every check was made and passed")
@click.option("-o", "--output", type=PATH, help="the run's folder  [runs/MODEL-PRECISION]")
@click.option("--json", "as_json", is_flag=True, help="print the result as JSON")
@quiet_option
@preprocessing_options
def engine(*, prove: bool, as_json: bool, quiet: bool, **options: Any) -> None:  # noqa: ANN401 - click's options
    """Turn MODEL (a path or a name) and pictures into a proven engine."""
    from polyyolo import pipeline
    from polyyolo.reports.summary import as_plain, as_text

    with bars(quiet=quiet or as_json) as drawn:
        run = pipeline.engine(_request(**options))
    if as_json:
        print_json(as_plain(run, drawn.warnings))
    else:
        click.echo(as_text(run))
    outcome = run.verdict.outcome
    raise SystemExit(UNPROVEN if prove and outcome is Outcome.UNPROVEN else EXIT[outcome])


def _request(**options: Any) -> Request:  # noqa: ANN401 - click's options
    options["precision"] = Precision(options["precision"])
    options["route"] = Route(options["route"])
    return Request(limits=taken_out(options), **options)
