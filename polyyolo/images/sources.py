"""Where pictures come from: a folder, one picture, a text file with a path a line, or a YOLO data.yaml."""

import os
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn

import yaml

from polyyolo import progress
from polyyolo.errors import InputError, PictureError
from polyyolo.files import real, refuse_endless, refuse_same
from polyyolo.wording import counted

EXTENSIONS = frozenset(
    ".jpg .jpeg .jpe .jfif .mpo .png .bmp .dib .tif .tiff .webp .ppm .pgm .pbm .pnm .jp2 .avif .gif".split()  # noqa: SIM905 - readable
)
UNREAD = frozenset(".heic .heif .jxl .dng .cr2 .cr3 .nef .arw .tga .psd .exr .hdr .j2k .jpf .jpeg2000".split())  # noqa: SIM905
"""Pictures that are none here: OpenCV does not decode them, or not everywhere."""
SHEET = "contact-sheet.png"
"""What ``polyyolo inspect data`` draws where no other name is given; in a folder of pictures it is none of them."""
DRAWN = (
    frozenset({"steps.json", "report.json"}),
    frozenset({"summary.json", "pictures"}),
    frozenset({"verification.json", "seen.sqlite"}),
)
"""What lies in the folder of a run, a detection that drew, a verification: pictures there were drawn, and are no input.
"""


def find_pictures(source: Path, *, split: str = "train") -> tuple[Path, ...]:
    """Find the pictures that ``source`` stands for; none is opened yet.

    Args:
        source: a folder (searched recursively, extensions in any case; hidden files, contact sheets and folders of
            polyyolo's results below it left out), a picture, a ``.txt`` list (a path a line, relative to the list's
            folder or else to the current one; blank lines and ``#`` lines are skipped), or a ``.yaml`` of YOLOv5's or
            Ultralytics' form.
        split: the key of a data.yaml to read, "train" for calibration, "val" for accuracy.

    Returns:
        Paths without repetition; a folder's sorted, a list's in its own order. Paths from a list may not exist.

    Raises:
        PictureError: there is no such source, it names no pictures, or it is of a kind that holds none.
    """
    found: dict[str, Path] = {}
    for place in _places(source, split):
        for picture in _in_place(place):
            found.setdefault(os.path.join(os.path.realpath(picture.parent), picture.name), picture)  # noqa: PTH118
    return tuple(found.values())


def refuse_among(output: Path, source: Path, *, split: str) -> None:
    """Refuse to write a picture over one of ``source``, or where it would be one of them the next time.

    Args:
        output: the file to write.
        source: what ``find_pictures`` takes, or an .npy.
        split: the key of a data.yaml to read.

    Raises:
        InputError: as above.
        PictureError: as ``find_pictures`` does.
    """
    places = _places(source, split)
    if output.exists():
        refuse_same(output, source, *places, *(() if is_array(source) else find_pictures(source, split=split)))
    folders = [real(place) for place in places if place.is_dir()]
    if _is_seen(output.name) and is_picture(output) and any(folder in real(output).parents for folder in folders):
        raise InputError(
            f"{output} lies among the pictures of {source}, and would be one of them the next time",
            fix=f"name another folder, or call it {SHEET}, which is never taken for a picture",
        )


def is_array(source: Path) -> bool:
    """Tell whether ``source`` is an .npy, which holds tensors instead of picture files."""
    return source.suffix.lower() == ".npy"


def is_picture(path: Path) -> bool:
    """Tell whether a file is a picture by its name."""
    return path.suffix.lower() in EXTENSIONS


def _places(source: Path, split: str) -> tuple[Path, ...]:
    """Name the folders, lists and pictures that a data.yaml stands for; anything else stands for itself."""
    is_dataset = source.is_file() and source.suffix.lower() in {".yaml", ".yml"}
    return _in_data_yaml(source, split) if is_dataset else (source,)


def _is_seen(name: str) -> bool:
    """Whether the search of a folder takes a file of that name."""
    return not name.startswith(".") and name != SHEET


def _in_place(source: Path) -> tuple[Path, ...]:
    if not source.exists():
        raise PictureError(f"no such file or folder: {source}", fix="name a folder of pictures, a list or a data.yaml")
    if source.is_dir():
        return _in_folder(source)
    if source.suffix.lower() == ".txt":
        return _in_list(source)
    if is_picture(source):
        return (source,)
    raise PictureError(
        f"{source} is no folder, picture, .txt list or data.yaml",
        fix="name one of those; an .npy of pictures can calibrate, but not be compared or drawn",
    )


def _in_folder(folder: Path) -> tuple[Path, ...]:
    results: list[Path] = []
    files = sorted(_walk(folder, results))
    pictures = tuple(filter(is_picture, files))
    read = {path.with_suffix("") for path in pictures}
    unread = [path for path in files if path.suffix.lower() in UNREAD and path.with_suffix("") not in read]
    _tell_passed_over(folder, unread, results)
    if pictures:
        return pictures
    held = _kinds(files) or ("results of polyyolo" if results else "")
    raise PictureError(
        f"no pictures in {folder}: it " + (f"holds {held}" if held else "is empty"),
        fix="name the folder that holds the .jpg, .png, ... files themselves, or one above it",
    )


def _kinds(files: Iterable[Path]) -> str:
    """Count files by their suffixes, the commonest first."""
    kinds = Counter(path.suffix.lower() or "no extension" for path in files)
    return ", ".join(f"{count} {kind}" for kind, count in kinds.most_common(4))


def _tell_passed_over(folder: Path, unread: Sequence[Path], results: Sequence[Path]) -> None:
    """Tell of what looks like a picture and is none here: a folder may seem to hold fewer than it does."""
    if unread:
        progress.warn(
            f"{counted(len(unread), 'picture is', 'pictures are')} of a kind that cannot be read in {folder}: "
            f"{_kinds(unread)}",
            "convert them to JPEG or PNG",
        )
    if results:
        progress.note(f"left out: {min(results)} holds results of polyyolo" + ", and others do" * (len(results) > 1))


def _walk(folder: Path, results: list[Path]) -> Iterator[Path]:
    """Yield every file below ``folder`` that is not hidden, no contact sheet, and in no folder of results.

    Links to folders are followed, but none twice: a folder comes before links to it, whatever the order on the disk.

    Args:
        folder: where to begin.
        results: the folders of results are appended to it.
    """
    seen = set()
    for root, folders, names in os.walk(folder, followlinks=True, onerror=_refuse_closed):
        place = os.path.realpath(root)
        drawn = Path(root) != folder and any(marks.issubset((*names, *folders)) for marks in DRAWN)
        if drawn:
            results.append(Path(root))
        skipped = drawn or place in seen
        below = [] if skipped else [name for name in folders if not name.startswith(".")]
        folders[:] = sorted(below, key=lambda name: (os.path.islink(os.path.join(root, name)), name))  # noqa: PTH114, PTH118
        if not skipped:
            yield from (Path(root, name) for name in names if _is_seen(name))
        seen.add(place)


def _refuse_closed(error: OSError) -> NoReturn:
    """Refuse a folder that cannot be looked into: its pictures would be left out without a word."""
    raise PictureError(
        f"cannot look into {error.filename}: {error.strerror}",
        fix="give yourself permission to read it, or name a folder without it",
    ) from error


def _in_list(source: Path) -> tuple[Path, ...]:
    lines = [line.strip() for line in _text(source).splitlines()]
    entries = [line for line in lines if line and not line.startswith("#")]
    if not entries:
        raise PictureError(f"the list {source} names no pictures", fix="write one path a line")
    return tuple(_first_existing(Path(entry), source.parent, Path()) for entry in entries)


def _in_data_yaml(source: Path, split: str) -> tuple[Path, ...]:
    data = read_data_yaml(source)
    entries = data.get(split)
    if not entries:
        keys = ", ".join(str(key) for key, value in data.items() if value) or "no keys"
        raise PictureError(
            f"{source} has no {split!r} (it has {keys})", fix=f"add a line '{split}: folder/of/images' to it"
        )
    places = []
    for entry in entries if isinstance(entries, list) else [entries]:
        if not isinstance(entry, str | int):
            raise PictureError(
                f"{split!r} in {source} holds a {type(entry).__name__}, no path",
                fix="write one path, or a list of paths",
            )
        places.append(split_place(source, data, str(entry)))
    for place in places:
        if not place.exists():
            raise PictureError(
                f"no such file or folder: {place}, which {source} names for {split!r}",
                fix=f"correct {split!r}{' or ' + repr('path') if data.get('path') else ''} in it",
            )
    return tuple(places)


def read_data_yaml(source: Path) -> Mapping[str, Any]:
    """Read a YOLO data.yaml.

    Raises:
        PictureError: it cannot be read, is no YAML, or is no mapping.
    """
    try:
        data = yaml.safe_load(_text(source))
    except (yaml.YAMLError, RecursionError) as error:
        raise PictureError(f"{source} is no YAML: {' '.join(str(error).split())}", fix="correct the file") from error
    if not isinstance(data, Mapping):
        raise PictureError(f"{source} is no data.yaml: it holds no keys", fix="it needs at least 'train' and 'val'")
    return data


def split_place(source: Path, data: Mapping[str, Any], entry: str) -> Path:
    """Resolve one train or val entry of a data.yaml.

    It may lie below ``path`` (itself relative to the file's folder or the current one), or below the file's folder;
    exporters such as Roboflow write a ``../`` too many, which is dropped where only that leads somewhere.
    """
    named = data.get("path")
    root = _first_existing(Path(named if isinstance(named, str) else ""), source.parent, Path())
    shorter = Path(entry.removeprefix("../"))
    candidates = [root / entry, source.parent / entry, root / shorter, source.parent / shorter, Path(entry)]
    return next((place for place in candidates if place.exists()), candidates[0])


def _first_existing(path: Path, *bases: Path) -> Path:
    return next((base / path for base in bases if os.path.exists(base / path)), bases[0] / path)  # noqa: PTH110


def _text(source: Path) -> str:
    try:
        refuse_endless(source)
        text = source.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise PictureError(f"cannot read {source}: {error}", fix="it must be a UTF-8 text file") from error
    if "\0" in text:
        raise PictureError(f"cannot read {source}: it holds NUL bytes", fix="it must be a UTF-8 text file")
    return text
