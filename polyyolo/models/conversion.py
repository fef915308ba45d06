"""Checkpoints and darknet's files become ONNX once; the cache knows them by what they were made from."""

import hashlib
import json
import re
from collections.abc import Callable, Sequence
from pathlib import Path

import attrs

from polyyolo import files, progress
from polyyolo.errors import ModelError
from polyyolo.fetching import cache
from polyyolo.models.own_size import USUAL_SIZE

SNAPSHOT = re.compile(r"_(best|last|final|\d+)$")  # what darknet's training appends to the name of the cfg


@attrs.frozen
class Conversion:
    """How a model becomes ONNX; None leaves it to the kind of model.

    Attributes:
        head: "decoded" (boxes in pixels; checkpoints' default) or "raw" (one map a stride; all that darknet gives).
        size: (height, width) in pixels; 640x640 for checkpoints, what the cfg says for darknet.
        dynamic: leave batch, height and width open.
        batch: pictures a run, where it is not left open.
        opset: version of ONNX's operators.
    """

    head: str | None = None
    size: tuple[int, int] | None = None
    dynamic: bool = False
    batch: int = 1
    opset: int = 17


USUAL = Conversion()


def converted(source: Path, how: Conversion = USUAL, names: Sequence[str] | None = None) -> Path:
    """Give the ONNX of a .pt, or of a .cfg or .weights with the other beside it; made now or taken from the cache.

    Args:
        source: the file.
        how: the converter's options.
        names: class names, where the caller knows them better than the files beside a cfg.

    Raises:
        ModelError: the files cannot be converted.
        InputError: the cache cannot be written to.
        ToolchainError: its disk is full.
    """
    if source.suffix == ".pt":
        return _kept([source], "checkpoint", how, names, lambda output: _checkpoint(source, output, how))
    cfg, weights = darknet_pair(source)
    beside = [path for path in sorted(cfg.parent.glob("*.names")) if path.stem in (cfg.stem, "obj", "coco")]
    return _kept(
        [weights, cfg, *beside], "darknet", how, names, lambda output: _darknet(cfg, weights, output, how, names)
    )


def darknet_pair(source: Path) -> tuple[Path, Path]:
    """Find (cfg, weights) from either; darknet's own snapshot names (``_best``, ``_1000``) are understood.

    Raises:
        ModelError: the other file is not there.
    """
    if source.suffix == ".cfg":
        cfg, weights = source, source.with_suffix(".weights")
    else:
        cfg, weights = source.with_suffix(".cfg"), source
        plain = source.with_name(SNAPSHOT.sub("", source.stem) + ".cfg")
        cfg = cfg if cfg.is_file() else plain
    for path in (cfg, weights):
        if not path.is_file():
            raise ModelError(f"{source} needs {path.name} beside it", fix=f"put {path.name} into {path.parent}")
    return cfg, weights


def _kept(
    sources: Sequence[Path],
    package: str,
    how: Conversion,
    names: Sequence[str] | None,
    convert: Callable[[Path], object],
) -> Path:
    """Convert into the cache, unless the same sources were converted in the same way before."""
    made_from = [*(files.sha256_of(path) for path in sources), _digest_of(package), attrs.asdict(how), names]
    key = hashlib.sha256(json.dumps(made_from).encode()).hexdigest()[:16]
    target = cache.folder() / "converted" / key / f"{sources[0].stem}.onnx"
    if _is_whole(target):
        progress.note(f"{sources[0].name} was converted before: {target} is used again")
        return target
    with cache.holding(target):
        if not _is_whole(target):  # another process may have made it while this one waited
            with files.replacing(target, elsewhere=cache.ELSEWHERE) as temporary:
                convert(temporary)
            files.write_text(_noted(target), files.sha256_of(target))
    return target


def _noted(target: Path) -> Path:
    """Name the file with the hash that a converted model had when it was made."""
    return target.with_suffix(".sha256")


def _is_whole(target: Path) -> bool:
    """Whether a converted model is there as it was made: caches are cleaned by hand, and disks fill up."""
    noted = _noted(target)
    return (
        target.is_file()
        and noted.is_file()
        and noted.read_text(encoding="utf-8", errors="replace") == files.sha256_of(target)
    )


def _digest_of(package: str) -> str:
    """Hash a converter's own code: one that has changed converts again."""
    digest = hashlib.sha256()
    for path in sorted((Path(__file__).parent / package).glob("*.py")):
        digest.update(path.read_bytes())
    return digest.hexdigest()


def _checkpoint(source: Path, output: Path, how: Conversion) -> Path:
    from polyyolo.models.checkpoint import convert

    return convert(
        source,
        output,
        head=how.head or "decoded",
        dynamic=how.dynamic,
        size=how.size or USUAL_SIZE,
        batch=how.batch,
        opset=how.opset,
    )


def _darknet(cfg: Path, weights: Path, output: Path, how: Conversion, names: Sequence[str] | None) -> Path:
    if how.head == "decoded":
        raise ModelError(f"{cfg.name}: darknet's models are given raw heads only", fix="leave --head out, or use raw")
    from polyyolo.models.darknet import convert

    return convert(
        cfg,
        weights,
        output,
        size=how.size,
        batch=how.batch,
        dynamic=how.dynamic,
        opset=how.opset,
        names=names,
    )
