"""Our errors in Polygraphy's log: what happened and what to do, without a traceback."""

from collections.abc import Iterator
from contextlib import contextmanager

from polygraphy.logger import G_LOGGER

from polyyolo.errors import PolyYoloError, ToolFailed


@contextmanager
def told() -> Iterator[None]:
    """Turn an error of ours into Polygraphy's, which it shows as it is; it ends with status 1.

    Raises:
        PolygraphyException: in the place of any ``PolyYoloError``.
    """
    try:
        yield
    except PolyYoloError as error:
        tail = f"\n{error.tail}" if isinstance(error, ToolFailed) and error.tail else ""
        G_LOGGER.critical(f"polyyolo: {error.message}{tail}\nfix: {error.fix}")
