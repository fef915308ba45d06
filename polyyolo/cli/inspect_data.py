"""polyyolo inspect data: what calibration would see, before it does."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from polyyolo.cli.console import bars, print_json, quiet_option
from polyyolo.cli.preprocessing import preprocessing_options
from polyyolo.cli.size import size_option
from polyyolo.models.own_size import USUAL_SIZE, own_size
from polyyolo.records import USUAL
from polyyolo.wording import counted

if TYPE_CHECKING:
    from polyyolo.images.survey import Survey
    from polyyolo.records import CalibrationSet, Preprocessing, TensorSpec

FAILED = 1


@click.command()
@click.argument("source", type=click.Path(path_type=Path))
@click.option("--model", help="a model's path or name, whose input is asked for size, type and batch")
@size_option("height and width  [640 640]")
@click.option("--batch", type=click.IntRange(min=1), help="pictures a batch  [the model's, else 1]")
@click.option("--count", default=USUAL.count, show_default=True, type=click.IntRange(min=1), help="pictures to choose")
@click.option("--seed", default=USUAL.seed, show_default=True, help="of the choice")
@click.option("--split", default="train", show_default=True, help="key of a data.yaml to read")
@click.option("-o", "--output", type=click.Path(path_type=Path), help="PNG to draw  [contact-sheet.png]")
@click.option("--json", "as_json", is_flag=True, help="print JSON")
@quiet_option
@preprocessing_options
@click.pass_context
def data(context: click.Context, /, source: Path, output: Path | None, **options: Any) -> None:  # noqa: ANN401 - click's
    """Check SOURCE (a folder, list, data.yaml or .npy) and draw what the model will really see of it.

    Exits with 1 when the batches have an error that would spoil a calibration.
    """
    from polyyolo.files import plain
    from polyyolo.images.preview import contact_sheet
    from polyyolo.images.sources import SHEET, is_picture, refuse_among
    from polyyolo.images.survey import survey

    sheet = output or Path(SHEET)
    refuse_among(sheet, source, split=options["split"])
    if not is_picture(sheet):
        raise click.UsageError(f"{sheet} is no name of a picture: end it in .png")
    with bars(quiet=options["quiet"] or options["as_json"]) as shown:
        tensor, chosen = _chosen(source, options)
        found = survey(chosen, tensor)
        contact_sheet(chosen, sheet)
    if options["as_json"]:
        how = plain(chosen.preprocessing)
        print_json({**plain(found), "preprocessing": how, "sheet": str(sheet), "warnings": shown.warnings})
    else:
        click.echo("\n".join([*_lines(found, chosen), f"what the model sees: {sheet}"]))
    context.exit(0 if found.is_usable else FAILED)


def _chosen(source: Path, options: Mapping[str, Any]) -> "tuple[TensorSpec, CalibrationSet]":
    """Choose the pictures as a calibration of that model would, or of any YOLO where none is named."""
    from polyyolo.images.choose import choose

    tensor, preprocessing = _input(source, options)
    fixed = tensor.dims[0]
    batch = options["batch"] or (fixed if isinstance(fixed, int) else 1)
    chosen = choose(
        source, preprocessing, count=options["count"], batch=batch, seed=options["seed"], split=options["split"]
    )
    return tensor, chosen


def _input(source: Path, options: Mapping[str, Any]) -> "tuple[TensorSpec, Preprocessing]":
    from polyyolo.images.arrays import entry_shape
    from polyyolo.images.presets import for_input
    from polyyolo.images.sources import is_array
    from polyyolo.records import TensorSpec

    channels, *stored = entry_shape(source) if is_array(source) else ("channels",)
    usual = options["size"] or tuple(stored) or USUAL_SIZE
    if options["model"]:
        from polyyolo.verification.subject import read_subject

        subject = read_subject(options["model"])
        tensor = subject.spec.image_input
        height, width = (
            own if isinstance(own, int) else given
            for own, given in zip(tensor.dims[2:], stored or own_size(subject.spec), strict=True)
        )
        size = options["size"] or (None if subject.run else (height, width))
        return tensor, subject.preprocessing(size, **options["overrides"])
    tensor = TensorSpec("images", "float32", ("batch", channels, "height", "width"))
    return tensor, for_input(tensor, usual, **options["overrides"])


def _lines(found: "Survey", chosen: "CalibrationSet") -> list[str]:
    """Say what was found, in lines for a terminal."""
    sizes = [f"{size.pictures} of {size.width}x{size.height}" for size in found.sizes[:5]]
    more = len(found.sizes) - len(sizes)
    batches = counted(found.batches, "batch", "batches")
    lines = [
        f"{counted(found.found, 'picture')} found, {found.chosen} chosen: {batches} of {chosen.batch}",
        f"sizes (width x height): {', '.join(sizes)}" + (f" and {more} more sizes" if more > 0 else ""),
        *(f"left out: {each.path}: {each.reason}" for each in found.skipped),
        *(f"{each.severity.value}: {each.message}\n  fix: {each.fix}" for each in found.findings),
    ]
    return [line for line in lines if not line.endswith(": ")] + ([] if found.findings else ["no mistakes found"])
