"""Read darknet's .cfg: sections of ``key=value`` lines. Every mistake is told with its line."""

from collections.abc import Iterator
from pathlib import Path

from attrs import field, frozen

from polyyolo.errors import ModelError

SIZE_LIMIT = 1 << 20  # bytes; the longest cfg of darknet's own has 40 KB
SECTION_LIMIT = 2000  # the deepest of them has 300
ALIASES = {"network": "net", "conv": "convolutional", "max": "maxpool"}  # darknet's own short forms


@frozen
class Option:
    """One value, still text, and the line it stands on."""

    text: str
    line: int


@frozen
class Section:
    """One ``[kind]`` of a cfg.

    Attributes:
        kind: what stands between the brackets, aliases resolved.
        line: where it begins.
        options: key -> value; of a key that comes twice the first counts, as in darknet.
    """

    kind: str
    path: Path
    line: int
    options: dict[str, Option] = field(factory=dict)

    def mistake(self, message: str, fix: str = "", key: str = "") -> ModelError:
        """Make the error that names this section, and the line of ``key`` where it has one."""
        line = self.options[key].line if key in self.options else self.line
        return ModelError(
            f"{self.path.name}:{line}: [{self.kind}] {message}",
            fix=fix or "use the cfg that belongs to the weights, unchanged",
        )

    def text(self, key: str, default: str) -> str:
        """Value of ``key`` as it stands."""
        return self.options[key].text if key in self.options else default

    def integer(self, key: str, default: int, *, low: int = 0, high: int = 1) -> int:
        """Value of ``key`` as a number from ``low`` to ``high``.

        Raises:
            ModelError: it is no whole number, or out of range.
        """
        (value,) = self.integers(key, str(default), low=low, high=high)[:1]
        return value

    def integers(self, key: str, default: str, *, low: int, high: int) -> tuple[int, ...]:
        """Comma-separated values of ``key``, each from ``low`` to ``high``.

        Raises:
            ModelError: one is no whole number, or out of range.
        """
        values = tuple(int(value) for value in self.numbers(key, default, kind=int))
        for value in values:
            if not low <= value <= high:
                raise self.mistake(f"{key}={value} is not within {low}..{high}", key=key)
        return values

    def numbers(self, key: str, default: str, *, kind: type[int] | type[float] = float) -> tuple[float, ...]:
        """Comma-separated values of ``key``; one trailing comma is allowed, as darknet's own files have it.

        Raises:
            ModelError: one is no number, or is not finite.
        """
        text = self.text(key, default)
        try:
            values = tuple(kind(part) for part in text.rstrip(",").split(","))
        except ValueError:
            raise self.mistake(f"{key}={text[:80]} is not {kind.__name__} numbers", key=key) from None
        if any(abs(value) > 1e12 or value != value for value in values):  # noqa: PLR0124 - NaN is not itself
            raise self.mistake(f"{key}={text[:80]} holds a number that no network has", key=key)
        return values


@frozen
class Cfg:
    """A parsed cfg: the input's description, and the layers in order."""

    net: Section
    layers: tuple[Section, ...]


def read_cfg(path: Path) -> Cfg:
    """Parse a cfg; blanks mean nothing, ``#`` and ``;`` begin comments.

    Raises:
        ModelError: the file cannot be read, is no cfg, or has a line that is neither section, option nor comment.
    """
    sections = tuple(_sections(path, _text(path)))
    if not sections or sections[0].kind != "net":
        raise ModelError(f"{path} does not begin with [net]", fix="name a darknet .cfg file")
    if not sections[1:]:
        raise ModelError(f"{path} has no layers", fix="use the cfg that belongs to the weights, unchanged")
    return Cfg(sections[0], sections[1:])


def _text(path: Path) -> str:
    try:
        if path.stat().st_size > SIZE_LIMIT:
            raise ModelError(f"{path} has {path.stat().st_size} bytes: no cfg is that long", fix="name the .cfg file")
        return path.read_bytes().decode("utf-8", errors="replace")
    except OSError as error:
        raise ModelError(f"cannot read {path}: {error.strerror}", fix="check the path") from error


def _sections(path: Path, text: str) -> Iterator[Section]:
    section: Section | None = None
    count = 0
    for number, line in enumerate(text.splitlines(), 1):
        bare = "".join(line.split("#")[0].split(";")[0].split())
        if bare.startswith("["):
            if section:
                yield section
            section = _begin(path, number, bare)
            count += 1
        elif bare:
            _keep(path, number, bare, section)
        if count > SECTION_LIMIT:
            raise ModelError(f"{path} has more than {SECTION_LIMIT} sections", fix="name a darknet .cfg file")
    if section:
        yield section


def _begin(path: Path, number: int, bare: str) -> Section:
    if not bare.endswith("]"):
        raise ModelError(f"{path.name}:{number}: {bare[:80]!r} lacks its closing bracket", fix="mend that line")
    kind = bare[1:-1]
    return Section(ALIASES.get(kind, kind), path, number, {})


def _keep(path: Path, number: int, bare: str, section: Section | None) -> None:
    key, equals, value = bare.partition("=")
    if section is None or not equals:
        wanted = "key=value" if section else "[net] first"
        raise ModelError(
            f"{path.name}:{number}: {bare[:80]!r} where {wanted} is wanted", fix="name a darknet .cfg file"
        )
    section.options.setdefault(key, Option(value, number))
