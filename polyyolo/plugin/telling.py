"""Our errors in Polygraphy's log: what happened and what to do, without a traceback."""

from collections.abc import Iterator
from contextlib import contextmanager
from tempfile import NamedTemporaryFile

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
        G_LOGGER.critical(f"polyyolo: {error.message}{_said(error)}\nfix: {error.fix}")


def _said(error: PolyYoloError) -> str:
    """Tell what a program said last, and keep its log: it lies in a folder that goes with the runner."""
    if not isinstance(error, ToolFailed):
        return ""
    kept = ""
    if error.log_path and error.log_path.exists():
        with NamedTemporaryFile(prefix="polyyolo-", suffix=".log", delete=False) as log:
            log.write(error.log_path.read_bytes())
            kept = f"\nlog: {log.name}"
    return f"\n{error.tail}{kept}"
