"""What every pass of polyyolo surgeon has in common: read, run, write, and say what happened."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from polyyolo.cli.console import bars, print_json, quiet_option
from polyyolo.progress import warn
from polyyolo.wording import counted

if TYPE_CHECKING:
    from polyyolo.records import Agreement, Fidelity, ModelSpec

Command = TypeVar("Command", bound=Callable[..., Any])

FINE_TUNE = "weights that were trained with LeakyReLU lose accuracy with ReLU"


def patient(command: Command) -> Command:
    """Give a command the model to read, the model to write, --json and --quiet."""
    for add in (
        quiet_option,
        click.option("--json", "as_json", is_flag=True, help="print JSON"),
        click.argument("output", type=click.Path(path_type=Path, dir_okay=False)),
        click.argument("source"),
    ):
        command = add(command)
    return command


def operate(  # noqa: PLR0913 - what the command line has
    name: str,
    options: Mapping[str, object],
    *,
    source: str,
    output: Path,
    as_json: bool,
    quiet: bool,
    images: Path | None = None,
    count: int = 0,
) -> None:
    """Run one pass over ``source`` into ``output`` and print what changed.

    Args:
        name: of the pass.
        options: its keyword arguments.
        source: path or name of a model.
        output: the .onnx to write.
        as_json: print JSON, and draw nothing.
        quiet: draw nothing.
        images: pictures to measure the box agreement on, for a pass that changes numbers.
        count: how many of them.
    """
    from polyyolo.files import refuse_same
    from polyyolo.images.sources import find_pictures
    from polyyolo.models.reading import files_of
    from polyyolo.models.spec import read_spec
    from polyyolo.models.zoo import locate
    from polyyolo.passes.apply import Step, apply

    with bars(quiet=quiet or as_json) as shown:
        path = locate(source)
        refuse_same(output, *files_of(path))
        before = read_spec(path)
        pictures = find_pictures(images)[:count] if images else ()
        after = apply(before, [Step(name, options)], output, elsewhere="for OUTPUT")
        fidelity = None
        if name == "leakyrelu-to-relu" and after.history:
            warn(FINE_TUNE, fix="fine-tune the model with ReLU before it is used")
            fidelity = _measure(before, after, pictures) if pictures else None
    if as_json:
        print_json(_plain(after, fidelity, shown.notes, shown.warnings))
    else:
        click.echo("\n".join(_lines(after, fidelity)))


def _measure(before: "ModelSpec", after: "ModelSpec", pictures: Sequence[Path]) -> "Fidelity":
    from polyyolo.images.presets import preprocessing_for
    from polyyolo.models.own_size import own_size
    from polyyolo.verification.compare import side_by_side

    return side_by_side(before, after, preprocessing_for(before, own_size(before)), pictures=pictures).fidelity


def _plain(
    after: "ModelSpec", fidelity: "Fidelity | None", notes: list[str], warnings: list[dict[str, str]]
) -> dict[str, object]:
    from polyyolo.files import plain

    return {
        "model": plain(after),
        "changed": bool(after.history),
        "notes": notes,
        "warnings": warnings,
        "fidelity": plain(fidelity) if fidelity else None,
    }


def _lines(after: "ModelSpec", fidelity: "Fidelity | None") -> Iterator[str]:
    yield f"{after.path}: {', '.join(after.history) or 'nothing to change'}"
    if fidelity:
        yield f"against the original on {counted(fidelity.pictures, 'picture')}:"
        yield from (f"  boxes: {_agreement(each)}" for each in fidelity.agreements)
        yield from (f"  {name}: {ratio:.1f} dB above the error" for name, ratio in fidelity.signal_to_noise_db.items())


def _agreement(each: "Agreement") -> str:
    return (
        f"confidence {each.confidence:g}, IoU {each.iou:g}: F1 {each.f1:.3f} "
        f"({each.matched} match, of {each.reference_boxes} before and {each.candidate_boxes} now)"
    )
