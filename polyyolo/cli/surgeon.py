"""polyyolo surgeon PASS in.onnx out.onnx: one graph pass at a time."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from polyyolo.cli.surgeon_run import operate, patient

DYNAMIC = "dynamic"
PLAIN = {
    "simplify": "Fold, fuse and drop what is not needed, with onnxslim. Numbers stay the same.",
    "fold-constants": "Compute what does not depend on the picture. Numbers stay the same.",
    "cut-decode": "Make the last convolutions' maps the outputs; anchors and strides go into the metadata.",
    "merge-decode": "Join the maps before the decode, so that it is computed once for all. Numbers stay the same.",
    "fuse-dfl": "Compute boxes from DFL's probabilities by one matrix product. Numbers change by FP32's rounding.",
    "turn-late": "Turn the rows of YOLOv5's merged decode once, at its end. Numbers stay the same.",
    "join-siblings": "Make one convolution of those that read the same tensor. Numbers stay the same.",
    "odd-kernel": "Give an even kernel on the picture a row and column of zeros. Numbers stay the same.",
    "pool-first": "Pool before a Concat, not behind it. Numbers stay the same.",
    "read-whole": "Read tensors whole that are split and joined again. Numbers change by FP32's rounding.",
}
"""Passes without options, and what their help says."""
LARGEST = 1 << 16
"""Of an axis."""


def pairs(_: click.Context, __: click.Parameter, texts: tuple[str, ...]) -> Mapping[str, str]:
    """Read ``name=value`` options, split at the first equals sign; a name that is there twice is a mistake."""
    read: dict[str, str] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not name or not equals:
            raise click.BadParameter(f"{text!r} is not of the form name=value")
        if name in read:
            raise click.BadParameter(f"{name!r} is given twice")
        read[name] = value
    return read


def batch_size(_: click.Context, __: click.Parameter, text: str | None) -> int | str | None:
    """Read a number of pictures, or the word dynamic."""
    if text in (None, DYNAMIC):
        return text
    if not text.isdecimal():
        raise click.BadParameter(f"{text!r} is neither a number nor {DYNAMIC}")
    return _within(text)


def height_and_width(_: click.Context, __: click.Parameter, text: str | None) -> tuple[int, int] | str | None:
    """Read height and width in pixels, one number for a square, or the word dynamic."""
    if text in (None, DYNAMIC):
        return text
    sides = text.lower().split("x")
    if len(sides) > 2 or not all(side.isdecimal() for side in sides):
        raise click.BadParameter(f"{text!r} is no size such as 640, 384x640 or {DYNAMIC}")
    return _within(sides[0]), _within(sides[-1])


def _within(text: str) -> int:
    """Read a number that a model's axis may have."""
    if int(text) > LARGEST:
        raise click.BadParameter(f"{text} is more than {LARGEST}")
    return int(text)


@click.group()
def surgeon() -> None:
    """Apply one pass to an ONNX model and write the result to another file."""


@surgeon.command("leakyrelu-to-relu")
@click.option("--images", type=click.Path(path_type=Path), help="pictures to measure the box agreement on")
@click.option("--count", default=32, show_default=True, type=click.IntRange(min=1), help="how many of them")
@patient
def leakyrelu_to_relu(images: Path | None, count: int, **files: Any) -> None:  # noqa: ANN401 - the options that patient adds
    """Put Relu in the place of LeakyRelu. Numbers change: fine-tune the weights afterwards."""
    operate("leakyrelu-to-relu", {}, images=images, count=count, **files)


def _without_options(name: str, told: str) -> None:
    """Add the command of a pass that takes no options."""

    @surgeon.command(name, help=told)
    @patient
    def run(**files: Any) -> None:  # noqa: ANN401 - the options that patient adds
        operate(name, {}, **files)


for _name, _told in PLAIN.items():
    _without_options(_name, _told)


@surgeon.command()
@click.option("--input", "inputs", callback=pairs, multiple=True, metavar="OLD=NEW", help="as often as needed")
@click.option("--output", "outputs", callback=pairs, multiple=True, metavar="OLD=NEW", help="as often as needed")
@patient
def rename(inputs: Mapping[str, str], outputs: Mapping[str, str], **files: Any) -> None:  # noqa: ANN401 - the options that patient adds
    """Give inputs and outputs other names."""
    operate("rename", {"inputs": inputs, "outputs": outputs}, **files)


@surgeon.command()
@click.option("--batch", callback=batch_size, metavar="N|dynamic", help="pictures at once  [as it is]")
@click.option("--size", callback=height_and_width, metavar="HEIGHTxWIDTH|dynamic", help="in pixels  [as it is]")
@patient
def shape(batch: int | str | None, size: tuple[int, int] | str | None, **files: Any) -> None:  # noqa: ANN401 - the options that patient adds
    """Fix or open batch and picture size, with the Reshapes that hold them. Numbers stay the same."""
    operate("shape", {"batch": batch, "size": size}, **files)


@surgeon.command("drop-outputs")
@click.option("--drop", multiple=True, metavar="NAME", help="an output to drop, as often as needed")
@click.option("--keep", multiple=True, metavar="NAME", help="drop all but these")
@patient
def drop_outputs(drop: tuple[str, ...], keep: tuple[str, ...], **files: Any) -> None:  # noqa: ANN401 - the options that patient adds
    """Drop outputs; without options all that the boxes are not read from."""
    operate("drop-outputs", {"drop": drop, "keep": keep}, **files)


@surgeon.command()
@click.option("--strip", is_flag=True, help="remove all but --keep")
@click.option("--keep", multiple=True, metavar="KEY", help="a key that --strip leaves")
@click.option("--set", "entries", callback=pairs, multiple=True, metavar="KEY=VALUE", help="add or replace")
@patient
def metadata(*, strip: bool, keep: tuple[str, ...], entries: Mapping[str, str], **files: Any) -> None:  # noqa: ANN401 - the options that patient adds
    """Strip, keep or set the metadata. The graph stays as it is."""
    operate("metadata", {"strip": strip, "keep": keep, "entries": entries}, **files)
