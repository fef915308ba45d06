"""What a file is, as a table of two columns in the terminal."""

from collections.abc import Iterable

from polyyolo.cli.console import printable
from polyyolo.records import TensorSpec

SHOWN_CHARACTERS = 100


def show_facts(title: str, facts: Iterable[tuple[str, str]]) -> None:
    """Print labels and what they tell, below a title."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(show_header=False, title=Text(title), title_justify="left")
    table.add_column(style="bold")
    table.add_column(overflow="fold")
    for label, value in facts:
        table.add_row(Text(printable(label)), Text(printable(value)))
    Console().print(table)


def told(tensor: TensorSpec) -> str:
    """Spell a tensor: name, type and dimensions."""
    return f"{tensor.name} {tensor.dtype} ({', '.join(map(str, tensor.dims))})"


def short(text: str) -> str:
    """Cut what nobody would read to its end."""
    return text if len(text) <= SHOWN_CHARACTERS else f"{text[:SHOWN_CHARACTERS]}..."
