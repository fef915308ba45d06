"""polyyolo detect: boxes on pictures or a video."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from polyyolo.cli.console import bars, print_json, quiet_option
from polyyolo.cli.head_option import head_option
from polyyolo.cli.preprocessing import preprocessing_options
from polyyolo.cli.ranges import Finite
from polyyolo.cli.size import size_option
from polyyolo.records import HeadKind
from polyyolo.wording import counted

if TYPE_CHECKING:
    from polyyolo.detection.detector import Look
    from polyyolo.detection.order import Order
    from polyyolo.detection.result import Detected
    from polyyolo.verification.subject import Subject

PATH = click.Path(path_type=Path)
FORMS = ("pictures", "json", "yolo", "coco")
SHOWN = 8


def listed(_: click.Context, __: click.Parameter, text: str | None) -> tuple[str, ...]:
    """Split at commas."""
    return tuple(part.strip() for part in (text or "").split(",") if part.strip())


def forms(context: click.Context, option: click.Parameter, text: str) -> tuple[str, ...]:
    """Split at commas, and refuse what is no form."""
    chosen = listed(context, option, text)
    wrong = [each for each in chosen if each not in FORMS]
    if wrong or not chosen:
        raise click.BadParameter(f"{(wrong or [text])[0]!r} is not one of {', '.join(FORMS)}")
    return chosen


@click.command()
@click.argument("model")
@click.argument("source", type=PATH)
@click.option("-o", "--output", type=PATH, help="folder of the results  [runs/detect/MODEL-SOURCE]")
@click.option("--save", default="pictures,json", show_default=True, callback=forms, help=f"any of {','.join(FORMS)}")
@click.option("--confidence", type=Finite(0, 1), default=0.25, show_default=True, help="least score of a box")
@click.option("--iou", type=Finite(0, 1), default=0.45, show_default=True, help="overlap that NMS allows")
@click.option("--limit", type=click.IntRange(1), default=300, show_default=True, help="boxes a picture, at most")
@click.option("--classes", metavar="NAME,...", callback=listed, help="only these, by name or number  [all]")
@click.option("--against", metavar="MODEL", help="draw what this model finds beside it")
@click.option("--model", "onnx", metavar="ONNX", help="for an engine: what it was built from  [its run's report]")
@head_option(but=(HeadKind.NONE,))
@size_option("height and width  [the model's own]")
@click.option("--split", default="val", show_default=True, help="key of a data.yaml to read")
@click.option("--coco-ids", type=PATH, help="ground truth whose image and category ids COCO results use  [from 1]")
@click.option("--json", "as_json", is_flag=True, help="print the summary as JSON")
@quiet_option
@preprocessing_options
def detect(model: str, source: Path, *, as_json: bool, quiet: bool, **options: Any) -> None:  # noqa: ANN401 - click's
    """Draw what MODEL sees on SOURCE: a picture, a folder, a list, a data.yaml or a video.

    MODEL is an ONNX by path or name, or an engine. What is stopped early keeps what was finished.
    """
    from polyyolo.detection.detect import detect as run
    from polyyolo.files import plain

    with bars(quiet=quiet or as_json) as drawn:
        summary, folder = run(_order(model, source, options))
    if as_json:
        rate = round(summary.per_second, 2)
        print_json({**plain(summary), "per_second": rate, "folder": str(folder), "warnings": drawn.warnings})
    else:
        click.echo("\n".join(_lines(summary, folder)))


def _order(model: str, source: Path, options: dict[str, Any]) -> "Order":
    from polyyolo.detection.order import Form, Order
    from polyyolo.detection.result import usual_folder
    from polyyolo.verification.subject import tell_of_unused

    subjects = [_subject(each, options) for each in (model, options["against"]) if each]
    tell_of_unused(options["onnx"], *subjects)
    looks = tuple(_look(*pair, options) for pair in zip(subjects, reversed(subjects), strict=True))
    return Order(
        looks,
        source,
        options["output"] or usual_folder(looks[0].spec.path, source),
        frozenset(map(Form, options["save"])),
        split=options["split"],
        coco_ids=options["coco_ids"],
    )


def _subject(model: str, options: dict[str, Any]) -> "Subject":
    from polyyolo.verification.subject import read_subject

    return read_subject(model, onnx=options["onnx"], otherwise=options["against"], head=options["head"])


def _look(subject: "Subject", beside: "Subject", options: dict[str, Any]) -> "Look":
    from polyyolo.detection.classes import choose_classes
    from polyyolo.detection.detector import Look
    from polyyolo.verification.inference import Selection

    preprocessing = subject.preprocessing(options["size"], beside=beside, **options["overrides"])
    selection = Selection(options["confidence"], options["iou"], multi_label=False, limit=options["limit"])
    return Look(subject.spec, preprocessing, selection, choose_classes(options["classes"], subject.spec))


def _lines(summary: "Detected", folder: Path) -> list[str]:
    """Say what was found, in lines for a terminal."""
    most = list(summary.per_class.items())
    found = ", ".join(f"{count} {name}" for name, count in most[:SHOWN])
    more = f" and {counted(len(most) - SHOWN, 'more class', 'more classes')}" if len(most) > SHOWN else ""
    unit = "frame" if summary.is_video else "picture"
    lines = [
        f"{counted(summary.shots, unit)} in {summary.seconds:.1f} s: {summary.per_second:.1f} {unit}s/s",
        counted(summary.boxes, "box", "boxes") + (f": {found}{more}" if found else ""),
    ]
    if summary.skipped:
        lines.append(f"{counted(len(summary.skipped), 'picture')} could not be used")
    return [*lines, f"results: {folder}"]
