"""COCO128: the first 128 labelled pictures of COCO's train2017, from the address that Ultralytics publishes."""

import shutil
import zipfile
from pathlib import Path, PurePosixPath

from polyyolo import files, progress
from polyyolo.errors import ToolchainError
from polyyolo.fetching import cache
from polyyolo.fetching.download import DownloadError, download

URL = "https://github.com/ultralytics/assets/releases/download/v0.0.0/coco128.zip"
KEPT = (".jpg", ".txt")
LIMIT = 64 << 20  # bytes unpacked; the pictures and labels have 7 MB


def fetch() -> Path:
    """Make sure that COCO128 is in the cache.

    Its hash is published nowhere, so none is checked; what arrived is told.

    Returns:
        The folder ``coco128`` with ``images/train2017`` and ``labels/train2017``.

    Raises:
        ToolchainError: it cannot be had from here; says what to put where.
    """
    target = cache.folder() / "coco128"
    with cache.holding(target):
        if target.is_dir():
            return target
        with files.scratch(target) as folder:
            archive = folder / "coco128.zip"
            try:
                download(URL, archive, sha256="")
                unpacked = _unpack(archive, folder)
            except DownloadError as error:
                raise ToolchainError(
                    f"coco128.zip cannot be fetched: {URL}: {error}",
                    fix=f"get it on a machine with a network and unpack it so that {target / 'images'} is there",
                ) from error
            progress.note(f"coco128.zip has the SHA-256 {files.sha256_of(archive)}; pictures under Flickr's terms")
            unpacked.replace(target)
    return target


def _unpack(archive: Path, folder: Path) -> Path:
    """Take the pictures and labels out, each to a place below ``folder / "coco128"``."""
    try:
        with zipfile.ZipFile(archive) as package:
            wanted = [item for item in package.infolist() if _is_wanted(item)]
            if not wanted or sum(item.file_size for item in wanted) > LIMIT:
                raise DownloadError("gave another archive than COCO128")
            for item in wanted:
                place = folder / item.filename
                place.parent.mkdir(parents=True, exist_ok=True)
                with package.open(item) as inside, place.open("wb") as outside:
                    shutil.copyfileobj(inside, outside)
    except (zipfile.BadZipFile, EOFError, NotImplementedError) as error:
        raise DownloadError(f"gave a damaged archive ({error})") from error
    return folder / "coco128"


def _is_wanted(item: zipfile.ZipInfo) -> bool:
    parts = PurePosixPath(item.filename).parts
    return parts[:1] == ("coco128",) and ".." not in parts and parts[-1].endswith(KEPT) and not item.is_dir()
