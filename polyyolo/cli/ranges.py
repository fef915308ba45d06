"""Numbers that an option takes."""

import math
from typing import Any

import click


class Finite(click.FloatRange):
    """A range without nan, which no bound keeps out since it compares with none, and without infinity."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:  # noqa: ANN401 - click's
        """Read a number."""
        number: float = super().convert(value, param, ctx)
        if not math.isfinite(number):
            self.fail(f"{value!r} is no finite number", param, ctx)
        return number
