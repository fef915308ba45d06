"""Where a model comes from: a path or a name in, an ONNX file on disk out."""

import os
from pathlib import Path

from polyyolo.errors import ModelError

FOLDER = "POLYYOLO_MODELS"


def locate(model: str) -> Path:
    """Find the ONNX that ``model`` stands for.

    Args:
        model: the path of an .onnx file, or a name: ``models/<name>.onnx`` below the current folder or
            ``<name>.onnx`` in the folder that the environment variable ``POLYYOLO_MODELS`` names.

    Raises:
        ModelError: nothing was found; the message says where it was looked for.
    """
    path = Path(model)
    if path.suffix:
        if path.is_file():
            return path
        raise ModelError(f"there is no model file {path}", fix="check the path")
    candidates = tuple(folder / f"{model}.onnx" for folder in _folders())
    for candidate in candidates:
        if candidate.is_file():
            return candidate
    raise ModelError(
        f"no model is called {model!r}; looked for {', '.join(map(str, candidates))}",
        fix=f"give the path of an .onnx file, or set {FOLDER} to the folder that holds it",
    )


def _folders() -> tuple[Path, ...]:
    named = os.environ.get(FOLDER)
    return (Path("models"), *((Path(named),) if named else ()))
