"""polyyolo inspect model: what a model is, and how that was told."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import click

from polyyolo.cli.console import bars, print_json
from polyyolo.cli.facts import short, show_facts, told
from polyyolo.cli.head_option import head_option

if TYPE_CHECKING:
    from polyyolo.records import Head, HeadKind, ModelSpec

SHOWN_NAMES = 12


@click.command()
@click.argument("model")
@head_option("head family  [told by the structure]")
@click.option("--json", "as_json", is_flag=True, help="print JSON")
def model(model: str, head: "HeadKind | None", *, as_json: bool) -> None:
    """Show inputs, outputs, head, classes, strides and metadata of MODEL: a path, or a name."""
    from polyyolo.files import plain
    from polyyolo.models.spec import read_spec
    from polyyolo.models.zoo import locate

    with bars(quiet=as_json):
        spec = read_spec(locate(model), head=head)
    if as_json:
        print_json({**plain(spec), "bytes": spec.path.stat().st_size})
    else:
        show_facts(str(spec.path), _rows(spec))


def _rows(spec: "ModelSpec") -> Iterator[tuple[str, str]]:
    head = spec.head
    yield "file", f"{spec.path.stat().st_size:,} bytes, sha256 {spec.sha256}"
    yield "opset", str(spec.opset)
    yield "inputs", "\n".join(f"{told(each)}{' (picture)' * (each.name == spec.image)}" for each in spec.inputs)
    yield "outputs", "\n".join(map(told, spec.outputs))
    yield "head", f"{head.kind.value}: {head.why}"
    if head.doubt:
        yield "doubt", head.doubt
    if spec.takes_levels:
        yield "pixels", "levels from 0 to 255: the model scales them itself"
    yield "classes", f"{head.classes}: {_names(spec.names)}" if head.classes else "none"
    yield "strides", ", ".join(map(str, head.strides)) or "unknown"
    if head.anchors:
        yield "anchors", _anchors(head)
    yield "quantized", "yes, Q/DQ nodes or integer operators are in the graph" if spec.quantized else "no"
    for key, value in spec.metadata.items():
        yield f"metadata: {key}", short(value)


def _names(names: tuple[str, ...]) -> str:
    if not names:
        return "the model does not name them"
    more = len(names) - SHOWN_NAMES
    return ", ".join(names[:SHOWN_NAMES]) + (f" and {more} more" if more > 0 else "")


def _anchors(head: "Head") -> str:
    """Write a line for each map: its stride, scale_x_y where there is one, and width x height of each anchor."""
    scales = head.scale_xy or (None,) * len(head.strides)
    return "\n".join(
        f"stride {stride}: {', '.join(f'{width:g}x{height:g}' for width, height in level)}"
        + (f", scale_xy {scale:g}" if scale else "")
        for stride, level, scale in zip(head.strides, head.anchors, scales, strict=True)
    )
