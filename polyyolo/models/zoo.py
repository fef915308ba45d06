"""Where a model comes from: a path or a name in, an ONNX file on disk out."""

import os
from pathlib import Path

import attrs

from polyyolo.errors import ModelError
from polyyolo.models import catalogue
from polyyolo.models.conversion import USUAL, Conversion, converted

FOLDER = "POLYYOLO_MODELS"
CONVERTED = (".pt", ".cfg", ".weights")


def locate(model: str, how: Conversion = USUAL) -> Path:
    """Find, convert or fetch the ONNX that ``model`` stands for.

    Args:
        model: a path to an .onnx, a .pt, or a .cfg or .weights with the other beside it; or a name:
            ``models/<name>.onnx`` below the current folder, ``<name>.onnx`` in the folder that the environment
            variable ``POLYYOLO_MODELS`` names, or a name in the catalogue.
        how: options of the conversion, where one is needed.

    Raises:
        ModelError: nothing was found (the message says where it was looked for), or it cannot be converted.
        ToolchainError: the catalogue has it, but it cannot be fetched from here.
    """
    path = Path(model)
    if path.is_file():
        return converted(path, how) if path.suffix in CONVERTED else path
    if path.suffix in (".onnx", *CONVERTED) and not path.is_dir():
        raise ModelError(f"there is no model file {path}", fix=_advice_on_path(path))
    candidates = tuple(folder / f"{model}.onnx" for folder in _folders())
    for candidate in candidates:
        if candidate.is_file():
            return candidate
    entry = catalogue.find(model)
    if entry is None and path.is_dir():
        raise ModelError(f"{path.absolute()} is a folder, no model", fix="name a file in it, or another model")
    if entry is None:
        raise ModelError(
            f"no model is called {model!r}; looked for {', '.join(map(str, candidates))} and in the catalogue",
            fix=f"give a path, or set {FOLDER} to the folder that holds {model}.onnx; {catalogue.advice(model)}",
        )
    return fetched(entry, how)


def fetched(entry: catalogue.Entry, how: Conversion = USUAL) -> Path:
    """Fetch a model of the catalogue where it is not in the cache, and convert it.

    Raises:
        ToolchainError: it cannot be fetched from here; says what to put where.
        ModelError: it cannot be converted as asked.
    """
    from polyyolo.models.darknet.names import COCO

    source = catalogue.fetch(entry)[0]
    sized = how if how.size or source.suffix != ".pt" else attrs.evolve(how, size=entry.input)
    return converted(source, sized, COCO if entry.family == "darknet" else None)


def _advice_on_path(path: Path) -> str:
    entry = catalogue.find(path.stem)
    return f"check the path, or give the name {entry.name} to have it fetched" if entry else "check the path"


def _folders() -> tuple[Path, ...]:
    named = os.environ.get(FOLDER)
    return (Path("models"), *((Path(named),) if named else ()))
