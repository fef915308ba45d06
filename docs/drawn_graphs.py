# noqa: INP001 - beside a script, no package
"""Small graphs of where Q/DQ nodes go, drawn as SVG: make_figures.py writes them."""

from collections.abc import Iterator, Mapping, Sequence
from html import escape
from itertools import pairwise

from attrs import frozen

INK, MUTED, LINE, FRAME = "#1f2328", "#57606a", "#57606a", "#1a7f37"
FILLS = {
    "pair": ("#fff1e5", "#d4742f"),
    "int8": ("#ddf4ff", "#54aeff"),
    "float": ("#ffffff", "#8c959f"),
    "moved": ("#f6f8fa", "#8c959f"),
}
FONT = "system-ui, -apple-system, Segoe UI, Helvetica, Arial, sans-serif"
TALL = 40


@frozen
class Box:
    """A node of the graph; ``x`` and ``y`` are its left end and its middle, in pixels."""

    x: int
    y: int
    text: str
    kind: str = "float"
    wide: int = 84


@frozen
class Kernel:
    """A frame around what becomes one kernel."""

    x: int
    y: int
    wide: int
    tall: int
    text: str


@frozen
class Note:
    """Words beside the graph."""

    x: int
    y: int
    text: str
    colour: str = MUTED


@frozen
class Graph:
    """Boxes, and ways between points that lie on their edges."""

    title: str
    size: tuple[int, int]
    boxes: Sequence[Box]
    ways: Sequence[Sequence[tuple[int, int]]]
    kernels: Sequence[Kernel] = ()
    notes: Sequence[Note] = ()


def svg(graph: Graph) -> str:
    """Give the drawing as a file."""
    wide, tall = graph.size
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {wide} {tall}" width="{wide}" height="{tall}" '
        f'font-family="{FONT}" font-size="14">\n<title>{escape(graph.title)}</title>\n'
        '<defs><marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto">'
        f'<path d="M0 0 8 4 0 8z" fill="{LINE}"/></marker></defs>\n'
        f'<rect x="0.5" y="0.5" width="{wide - 1}" height="{tall - 1}" rx="8" fill="#ffffff" stroke="#d0d7de"/>'
    )
    return "\n".join([head, *_parts(graph), "</svg>"]) + "\n"


def _parts(graph: Graph) -> Iterator[str]:
    for kernel in graph.kernels:
        yield (
            f'<rect x="{kernel.x}" y="{kernel.y}" width="{kernel.wide}" height="{kernel.tall}" rx="8" fill="none" '
            f'stroke="{FRAME}" stroke-width="1.5" stroke-dasharray="6 4"/>'
        )
        yield _text(kernel.x + 8, kernel.y - 7, kernel.text, FRAME, "start")
    for way in graph.ways:
        points = " L".join(f"{x} {y}" for x, y in way)
        yield f'<path d="M{points}" fill="none" stroke="{LINE}" stroke-width="1.5" marker-end="url(#tip)"/>'
    for box in graph.boxes:
        fill, edge = FILLS[box.kind]
        yield (
            f'<rect x="{box.x}" y="{box.y - TALL // 2}" width="{box.wide}" height="{TALL}" rx="6" fill="{fill}" '
            f'stroke="{edge}"/>'
        )
        yield _text(box.x + box.wide / 2, box.y + 5, box.text, INK, "middle")
    for note in graph.notes:
        yield _text(note.x, note.y, note.text, note.colour, "start")


def _text(x: float, y: float, text: str, colour: str, anchor: str) -> str:
    return f'<text x="{x:g}" y="{y:g}" text-anchor="{anchor}" fill="{colour}">{escape(text)}</text>'


def row(boxes: Sequence[Box]) -> list[list[tuple[int, int]]]:
    """Give the ways between boxes that follow one another at the same height."""
    return [[(left.x + left.wide, left.y), (right.x, right.y)] for left, right in pairwise(boxes)]


def chain(y: int, *boxes: tuple[int, str, str, int]) -> list[Box]:
    """Give boxes at one height, each as left end, text, kind and width."""
    return [Box(x, y, text, kind, wide) for x, text, kind, wide in boxes]


def conv() -> Graph:
    """Conv with SiLU: its input and its weights are quantized; what it gives is not, before SiLU is done."""
    first = [(24, "Q", "pair", 44), (92, "DQ", "pair", 44), (176, "Conv", "int8", 84), (300, "SiLU", "int8", 84)]
    then = [(424, "Q", "pair", 44), (510, "DQ", "pair", 44), (594, "Conv", "int8", 84), (706, "SiLU", "int8", 84)]
    line, weights = chain(116, *first, *then), chain(190, (92, "weights", "float", 74), (190, "Q DQ", "pair", 56))
    return Graph(
        title="One kernel from DQ to Q: the convolution, its activation and the rounding to INT8",
        size=(820, 234),
        boxes=[*line, *weights],
        ways=[*row(line), *row(weights), [(218, 170), (218, 136)], [(790, 116), (814, 116)]],
        kernels=[Kernel(80, 76, 400, 146, "one INT8 kernel"), Kernel(498, 76, 304, 72, "the next one")],
        notes=[
            Note(12, 28, "Nothing between Conv and SiLU, nothing between SiLU and Q: else it is a kernel of its own.")
        ],
    )


def add() -> Graph:
    """A bottleneck: both branches reach the Add as INT8."""
    line = chain(
        146,
        *((24, "Q", "pair", 44), (92, "DQ", "pair", 44), (162, "Conv, SiLU", "int8", 96), (292, "Q DQ", "pair", 64)),
        *(
            (380, "Conv, SiLU", "int8", 96),
            (500, "Q DQ", "pair", 64),
            (588, "Add", "int8", 60),
            (672, "Q DQ", "pair", 64),
        ),
    )
    return Graph(
        title="A residual Add behind an activation function takes INT8 on both sides",
        size=(820, 204),
        boxes=line,
        ways=[*row(line), [(114, 126), (114, 84), (618, 84), (618, 126)], [(736, 146), (772, 146)]],
        notes=[
            Note(12, 28, "Conv and SiLU are one INT8 kernel, and the Add another: nothing is converted in between."),
            Note(190, 76, "skip branch: INT8, from the pair that the first Conv reads"),
            Note(460, 186, "a scale of its own", "#b35900"),
        ],
    )


def concat() -> Graph:
    """A Concat whose branches share one scale."""
    up = chain(92, (24, "Conv, SiLU", "int8", 96), (160, "Q DQ", "pair", 64))
    down = chain(172, (24, "Conv, SiLU", "int8", 96), (160, "Q DQ", "pair", 64))
    line = chain(132, (340, "Concat", "moved", 84), (484, "Q DQ", "pair", 64), (612, "Conv, SiLU", "int8", 96))
    into = [[(224, 92), (296, 92), (340, 122)], [(224, 172), (296, 172), (340, 142)]]
    return Graph(
        title="One scale through a Concat",
        size=(820, 234),
        boxes=[*up, *down, *line],
        ways=[*row(up), *row(down), *row(line), *into, [(708, 132), (744, 132)]],
        notes=[
            Note(
                12, 28, "The widest range of all branches is the scale of each: INT8 goes in, is copied, and comes out."
            ),
            *(Note(x, y, "scale s", "#b35900") for x, y in ((232, 82), (232, 194), (492, 172))),
            Note(340, 216, "With other scales each branch would need a conversion."),
        ],
    )


DRAWINGS: Mapping[str, Graph] = {"placement-conv": conv(), "placement-add": add(), "placement-concat": concat()}
