"""What a detection came to, and the folder that it lies in."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from itertools import count
from pathlib import Path, PurePath

from attrs import evolve, field, frozen

from polyyolo import files
from polyyolo.errors import InputError
from polyyolo.folders import refuse_foreign
from polyyolo.records import Preprocessing, Skipped

SUMMARY = "summary.json"
PARTIAL = ".partial"


@frozen
class Detected:
    """``summary.json`` of a detection.

    Attributes:
        model: whose boxes these are; ``against`` is drawn beside it. These and ``source`` are whole paths.
        classes: names of the classes that were asked for; empty for all.
        is_video: whether ``source`` is one.
        shots: pictures or frames that were looked at.
        skipped: pictures that could not be used, and why.
        boxes: on all shots together; ``per_class`` by name, the commonest first.
        seconds: from the first shot to the last.
        complete: False where it was stopped before its end.
        written: everything that it wrote beside this file, below the folder.
    """

    model: Path
    against: Path | None
    source: Path
    preprocessing: Preprocessing
    confidence: float
    iou: float
    limit: int
    classes: tuple[str, ...]
    is_video: bool
    shots: int
    skipped: tuple[Skipped, ...]
    boxes: int
    per_class: Mapping[str, int]
    seconds: float
    complete: bool
    written: tuple[str, ...] = field(default=())

    @written.validator
    def _stay_inside(self, _: object, names: tuple[str, ...]) -> None:
        """Refuse names that lead out of the folder: files of a detection are removed by name."""
        for place in map(PurePath, names):
            if place.is_absolute() or ".." in place.parts:
                raise ValueError(f"{place} is outside the folder")

    @property
    def per_second(self) -> float:
        """Shots a second, all work included."""
        return self.shots / self.seconds if self.seconds else 0.0


class Results:
    """The folder of one detection, held by this process; ``Results.open`` makes it.

    Everything is made in ``.partial`` below it, so that what an earlier detection left is not mixed with it.

    Attributes:
        partial: where files are made.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.partial = folder / PARTIAL
        self._earlier = _earlier(folder)

    @classmethod
    @contextmanager
    def open(cls, folder: Path) -> Iterator["Results"]:
        """Hold the folder; what was made and not published is removed at the end.

        Raises:
            InputError: another run holds it, it holds other things than a detection, or it cannot be written to.
            ToolchainError: the disk is full.
        """
        with files.writable(folder):
            results = cls(folder)
        with files.locked(folder), files.writable(folder):
            files.remove(results.partial)
            results.partial.mkdir()
            try:
                yield results
            finally:
                files.remove(results.partial)

    def publish(self, summary: Detected) -> tuple[Detected, Path]:
        """Let the results take the place of an earlier detection's.

        Those of a detection that was stopped do not replace earlier ones: they go beside them, into a folder with
        ``-stopped`` at the end of its name.

        Returns:
            The summary with all that was written, and where it is.
        """
        if not self._earlier or summary.complete:
            return self._take_place(summary)
        with Results.open(self.folder.with_name(f"{self.folder.name}-stopped")) as beside:
            self.partial.replace(beside.partial)
            return beside._take_place(summary)  # noqa: SLF001 - another of this class

    def _take_place(self, summary: Detected) -> tuple[Detected, Path]:
        made = sorted(path.relative_to(self.partial) for path in self.partial.rglob("*") if path.is_file())
        whole = evolve(summary, written=tuple(path.as_posix() for path in made))
        files.write_json(self.partial / SUMMARY, whole)
        self._refuse_blocked(made)
        with files.uninterrupted():
            self._remove_earlier()
            for name in [*made, Path(SUMMARY)]:
                target = self.folder / name
                target.parent.mkdir(parents=True, exist_ok=True)
                (self.partial / name).replace(target)
        return whole, self.folder

    def _remove_earlier(self) -> None:
        """Remove what the earlier detection wrote, and its folders where nothing else is in them."""
        written = [PurePath(name) for name in (self._earlier.written if self._earlier else ())]
        for name in written:
            (self.folder / name).unlink(missing_ok=True)
        above = {place for name in written for place in name.parents if place.name}
        for place in sorted((self.folder / each for each in above), reverse=True):
            if place.is_dir() and not place.is_symlink() and not any(place.iterdir()):
                place.rmdir()

    def _refuse_blocked(self, names: list[Path]) -> None:
        """Refuse to publish over what no detection wrote: a file where one goes, or where a folder goes."""
        earlier = {self.folder / name for name in self._earlier.written} if self._earlier else set()
        targets = {self.folder / name for name in names}
        parents = {self.folder / above for name in names for above in name.parents}
        taken = [place for place in targets if place.exists()] + [place for place in parents if place.is_file()]
        blocked = sorted(set(taken) - earlier)
        if blocked:
            raise InputError(
                f"{blocked[0]} is in the way of the results", fix="move it away, or choose another folder with -o"
            )


def usual_folder(model: Path, source: Path) -> Path:
    """Name the folder for those who name none: for the model and the source, below ``runs/detect``.

    The same model on the same source has the same folder; others of the same names get a number.
    """
    stem = f"{model.stem}-{files.real(source).stem or 'all'}"
    numbered = (Path("runs", "detect", stem if number == 1 else f"{stem}-{number}") for number in count(1))
    return next(folder for folder in numbered if _is_free(folder, model, source))


def _is_free(folder: Path, model: Path, source: Path) -> bool:
    if not (folder / SUMMARY).is_file():
        return not folder.is_dir() or not any(not place.name.startswith(".") for place in folder.iterdir())
    try:
        earlier = _summary_in(folder)
    except InputError:
        return False
    return (earlier.model, earlier.source) == (files.real(model), files.real(source))


def _earlier(folder: Path) -> Detected | None:
    """Read what an earlier detection left; refuse a folder in which results would be mixed with other files.

    Raises:
        InputError: the folder is neither new, nor empty, nor a detection's.
    """
    if (folder / SUMMARY).is_file():
        return _summary_in(folder)
    refuse_foreign(folder, "a detection")
    return None


def _summary_in(folder: Path) -> Detected:
    try:
        return files.read_json(folder / SUMMARY, Detected)
    except InputError as error:
        raise InputError(
            f"{folder / SUMMARY} was not written by this version of polyyolo, so that it is unknown which files are "
            "to be replaced",
            fix="remove the folder, or choose another with -o",
        ) from error
