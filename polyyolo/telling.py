"""What polyyolo tells inside of Polygraphy, in its log: warnings, notes, and errors without a traceback."""

from collections.abc import Iterator
from contextlib import contextmanager
from tempfile import NamedTemporaryFile

from polygraphy.logger import G_LOGGER

from polyyolo.errors import PolyYoloError, ToolFailed
from polyyolo.progress import Silent


class PolygraphyLog(Silent):
    """Send warnings and notes to Polygraphy's own log."""

    def warned(self, message: str, fix: str) -> None:
        """Log a warning with its fix."""
        G_LOGGER.warning(f"polyyolo: {message}" + (f"\nfix: {fix}" if fix else ""))

    def noted(self, message: str) -> None:
        """Log a line."""
        G_LOGGER.info(f"polyyolo: {message}")


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
