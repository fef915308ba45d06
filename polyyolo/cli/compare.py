"""polyyolo compare MODEL: one table of FP32, FP16 and INT8."""

from typing import TYPE_CHECKING, Any

import click

from polyyolo.cli.console import bars, print_json, quiet_option
from polyyolo.cli.head_option import head_option
from polyyolo.cli.picture_options import PATH, images_option, labelled_option
from polyyolo.cli.preprocessing import preprocessing_options
from polyyolo.cli.quantizing_options import quantizing_options
from polyyolo.cli.toolchain_option import prepares_option
from polyyolo.records import Outcome, Request

if TYPE_CHECKING:
    from polyyolo.records.comparison import Comparison

FAILED, MACHINE = 1, 3


@click.command()
@click.argument("model")
@images_option
@labelled_option
@click.option("--profile", metavar="FILE|NAME", help="shapes that the engines must accept  [the model's own]")
@prepares_option
@head_option()
@quantizing_options
@click.option("--variants", metavar="A,B,...", help="which of fp32, fp16, int8-qdq and int8-calibrated  [all]")
@click.option("-o", "--output", type=PATH, help="folder of the comparison  [runs/MODEL-compare]")
@click.option("--json", "as_json", is_flag=True, help="print the result as JSON")
@quiet_option
@preprocessing_options
def compare(*, variants: str | None, as_json: bool, quiet: bool, **options: Any) -> None:  # noqa: ANN401 - click's options
    """Build MODEL (a path or a name) in every precision, and put size, speed and accuracy side by side."""
    from polyyolo import comparing
    from polyyolo.files import plain
    from polyyolo.reports import comparison as report
    from polyyolo.variants.known import NAMES

    names = [name.strip() for name in variants.split(",")] if variants is not None else NAMES
    with bars(quiet=quiet or as_json) as shown:
        found = comparing.compare(Request(**options), names)
    if as_json:
        print_json({**plain(found), "warnings": shown.warnings})
    else:
        click.echo(report.as_text(found))
        click.echo(f"report: {found.folder / report.MARKDOWN}")
    raise SystemExit(_code(found))


def _code(found: "Comparison") -> int:
    """Choose the exit code: what this machine cannot build is UNPROVEN, but a failure is one."""
    errors = [row.exit_code for row in found.variants if row.exit_code not in (0, MACHINE)]
    failed = any(row.outcome is Outcome.FAIL for row in found.variants)
    return max([*errors, FAILED if failed else 0])
