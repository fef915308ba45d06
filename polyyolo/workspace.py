"""A run's folder: steps are reused while nothing that goes into them has changed, and results appear all at once.

Everything is made in ``.partial`` below the folder. What an interrupted run had finished is still there for the next
one; what an earlier run left is untouched until the new results take its place.
"""

import hashlib
import json
import os
import shutil
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path, PurePath
from typing import Any, TypeVar

from attrs import field, frozen

from polyyolo import __version__, files, progress
from polyyolo.errors import InputError
from polyyolo.folders import refuse_foreign
from polyyolo.installed import versions_of
from polyyolo.wording import counted

Result = TypeVar("Result")
LEDGER, REPORT = "steps.json", "report.json"
PARTIAL = ".partial"


@frozen
class StepEntry:
    """A step that was done.

    Attributes:
        key: digest of all that went into it.
        outputs: file name below the folder -> sha256.
        result: what it gave, as plain data.
        seconds: how long it took when it was really done.
        warnings: what the user was told meanwhile; told again when the step is reused.
    """

    key: str
    outputs: Mapping[str, str] = field()
    result: Any
    seconds: float
    warnings: tuple[progress.Warned, ...] = ()

    @outputs.validator
    def _stay_inside(self, _: object, outputs: Mapping[str, str]) -> None:
        """Refuse names of nothing inside the folder: files of a run are replaced and removed by name."""
        for place in map(PurePath, outputs):
            if not place.name or place.is_absolute() or ".." in place.parts:
                raise ValueError(f"{place} is no file in the run's folder")


@frozen
class Ledger:
    """All steps of a run, by name."""

    steps: Mapping[str, StepEntry] = field(factory=dict)


class Workspace:
    """The folder of one run, held by this process; ``Workspace.open`` makes it.

    Attributes:
        folder: where the results will be.
        reused: names of the steps that did not have to be done again.
    """

    def __init__(self, folder: Path, lenders: Sequence[Path] = ()) -> None:
        self.folder = folder
        self.reused: list[str] = []
        self._partial = folder / PARTIAL
        self._earlier = _read_ledger(folder / LEDGER)
        self._begun = _read_ledger(self._partial / LEDGER)
        places = [place for lender in lenders for place in (lender / PARTIAL, lender)]
        self._lent = [(place, _read_ledger(place / LEDGER)) for place in places]
        self._steps: dict[str, StepEntry] = {}

    @classmethod
    @contextmanager
    def open(cls, folder: Path, lenders: Sequence[Path] = ()) -> Iterator["Workspace"]:
        """Hold the folder for one run.

        Args:
            folder: of the run.
            lenders: folders of other runs, whose steps are reused where the same goes into them.

        Raises:
            InputError: another run holds it, it holds other things than a run, or it cannot be written to.
            ToolchainError: the disk is full.
        """
        with files.writable(folder):
            _refuse_foreign(folder)
        with files.locked(folder), files.writable(folder):
            space = cls(folder, lenders)
            space._partial.mkdir(exist_ok=True)
            try:
                yield space
            except BaseException as ending:
                if not isinstance(ending, Exception) and space.steps:  # Ctrl-C, or a signal
                    kept = counted(len(space.steps), "finished step")
                    progress.note(f"{kept} kept: the same command goes on from there")
                raise

    @property
    def steps(self) -> Mapping[str, StepEntry]:
        """The steps of this run, done or reused, in order."""
        return dict(self._steps)

    def path(self, name: str) -> Path:
        """Give the place where a step writes the file that will be called ``name``."""
        return self._partial / name

    def step(
        self,
        name: str,
        inputs: Mapping[str, object],
        outputs: Sequence[str],
        make: Callable[[], Result],
        kind: type[Result],
    ) -> Result:
        """Do a step, or reuse what it gave before.

        Args:
            name: of the step.
            inputs: everything that decides the result, files by their hashes.
            outputs: files or folders that ``make`` writes, named as in ``path``.
            make: does the work.
            kind: of what it gives.
        """
        key = _digest(name, inputs)
        own = [(self.folder, self._begun), (self.folder, self._earlier)]
        for place, ledger in [*own, *self._lent]:
            entry = ledger.steps.get(name)
            result = _result(entry, kind) if entry and entry.key == key else None
            if entry and result is not None and self._fetch(entry, place):
                progress.note(
                    f"{name}: reused from {entry.seconds:.1f} s of earlier work, nothing that goes into it changed"
                )
                for each in entry.warnings:
                    progress.warn(each.message, each.fix)
                self.reused.append(name)
                self._record(name, entry)
                return result
        self._clear(outputs)
        started = time.perf_counter()
        with progress.recording() as told:
            result = make()
        seconds = time.perf_counter() - started
        made = {each: files.sha256_of(self.path(each)) for output in outputs for each in self._below(output)}
        self._record(name, StepEntry(key, made, files.plain(result), round(seconds, 3), tuple(told.warnings)))
        return result

    def publish(self, *more: str) -> None:
        """Let the results take their places, and remove what an earlier run left and this one has not, with a note.

        Where something else than a file took such a place meanwhile, it stays: no run left that.

        Args:
            *more: files in ``.partial`` that no step made, as the report.
        """
        files.write_json(self.path(LEDGER), Ledger(self._steps))
        kept = {each for entry in self._steps.values() for each in entry.outputs} | set(more)
        self._refuse_blocked([*kept, LEDGER])
        places = [place for place in self._left_before(kept) if place.is_file() or place.is_symlink()]
        with files.uninterrupted():
            for name in sorted(kept):
                target = self.folder / name
                target.parent.mkdir(parents=True, exist_ok=True)
                self.path(name).replace(target)
            for place in places:
                place.unlink()
            self.path(LEDGER).replace(self.folder / LEDGER)
        self._tell_of_removed([place.relative_to(self.folder) for place in places])
        shutil.rmtree(self._partial)

    def _left_before(self, kept: set[str]) -> list[Path]:
        """Name what an earlier run has published that this one has not, be it that it was ended while it did so."""
        earlier = {each for entry in self._earlier.steps.values() for each in entry.outputs}
        begun = {name: digest for entry in self._begun.steps.values() for name, digest in entry.outputs.items()}
        left = {name for name in begun.keys() - kept - earlier if self._is_there(name, begun[name])}
        return [self.folder / name for name in (earlier - kept) | left]

    def _is_there(self, name: str, digest: str) -> bool:
        place = self.folder / name
        return place.is_file() and files.sha256_of(place) == digest

    def _tell_of_removed(self, names: Sequence[Path]) -> None:
        if names:
            first = min(names, key=lambda name: (len(name.parts), name))  # an engine before a drawing
            others = f" and {len(names) - 1} more" if len(names) > 1 else ""
            progress.note(f"{self.folder / first}{others} of the earlier run removed: this one made none of that name")

    def _refuse_blocked(self, names: Sequence[str]) -> None:
        """Refuse to publish where that would fail half-way: a folder is where a file goes, or a file where a folder.

        Or where nothing may be written.
        """
        for name in names:
            places = [self.folder / each for each in (PurePath(name), *PurePath(name).parents)]
            wrong = [place for place in places if place.exists() and place.is_dir() is (place == places[0])]
            if wrong:
                raise InputError(
                    f"{wrong[0]} is in the way of the results", fix="move it away, or choose another folder with -o"
                )
        for folder in {next(place for place in (self.folder / name).parents if place.exists()) for name in names}:
            files.refuse_unwritable(folder)

    def _record(self, name: str, entry: StepEntry) -> None:
        self._steps[name] = entry
        files.write_json(self.path(LEDGER), Ledger({**self._begun.steps, **self._steps}))

    def _clear(self, outputs: Sequence[str]) -> None:
        """Remove what an interrupted run left: it is no result of this one, and may be a link to a published file."""
        for place in map(self.path, outputs):
            files.remove(place)

    def _below(self, name: str) -> list[str]:
        place = self.path(name)
        found = sorted(place.rglob("*")) if place.is_dir() else [place]
        return [str(each.relative_to(self._partial)) for each in found if each.is_file()]

    def _fetch(self, entry: StepEntry, place: Path) -> bool:
        """Bring all files of an entry from ``place`` into ``.partial``, if each is still what it was."""
        return all(self._fetch_file(name, digest, place) for name, digest in entry.outputs.items())

    def _fetch_file(self, name: str, digest: str, place: Path) -> bool:
        target = self.path(name)
        if target.is_file() and files.sha256_of(target) == digest:
            return True
        source = place / name
        if not source.is_file() or files.sha256_of(source) != digest:
            return False
        target.parent.mkdir(parents=True, exist_ok=True)
        files.remove(target)
        try:
            os.link(source, target)
        except OSError:  # not every file system has links
            shutil.copy2(source, target)
        return True


def unchanged(folder: Path, name: str) -> Path:
    """Give a run's file, if it is still what the run wrote.

    Raises:
        InputError: it is not, or the folder is none of a run.
    """
    path = folder / name
    written = {
        each: digest
        for entry in files.read_json(folder / LEDGER, Ledger).steps.values()
        for each, digest in entry.outputs.items()
    }
    if not path.is_file() or written.get(name) != files.sha256_of(path):
        what = "is gone" if not path.exists() else "was changed since the run"
        raise InputError(f"{path} {what}", fix=f"run polyyolo engine again into {folder}")
    return path


def _refuse_foreign(folder: Path) -> None:
    """Refuse a folder in which results might take the place of files that no run wrote.

    Raises:
        InputError: it is neither new, nor empty, nor a run's.
    """
    if not any((folder / name).exists() for name in (LEDGER, PARTIAL)):
        refuse_foreign(folder, "a run")


def _digest(name: str, inputs: Mapping[str, object]) -> str:
    text = json.dumps([__version__, versions_of(), name, files.plain(inputs)], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def _result(entry: StepEntry, kind: type[Result]) -> Result | None:
    """Give what a step gave before; None where that is nothing of its kind."""
    try:
        return files.structure(entry.result, kind)
    except InputError:
        return None


def _read_ledger(path: Path) -> Ledger:
    """Read what was done before; a ledger that cannot be read only means that nothing is reused."""
    if not path.exists():
        return Ledger()
    try:
        return files.read_json(path, Ledger)
    except InputError:
        progress.note(f"{path.name} cannot be read: every step is done again")
        return Ledger()
