"""The classes and functions that a YOLO checkpoint may name. None is ever imported; see ``unpickler``."""

from polyyolo.errors import ModelError

_FAMILIES = ("models.", "utils.", "yolov5.", "ultralytics.", "torch.nn.")
"""YOLOv5's repository (models, utils), its package on PyPI, Ultralytics, and torch's modules."""

_EXACT = frozenset(
    {
        "__builtin__.set",
        "_codecs.encode",
        "argparse.Namespace",
        "builtins.set",
        "collections.OrderedDict",
        "datetime.datetime",
        "datetime.timedelta",
        "datetime.timezone",
        "numpy.dtype",
        "numpy.ndarray",
        "torch._utils._rebuild_parameter",
        "torch._utils._rebuild_tensor",
        "torch._utils._rebuild_tensor_v2",
        "torch.Size",
        "torch.device",
        "torch.torch_version.TorchVersion",
        "types.SimpleNamespace",
    }
)

_NUMPY = frozenset(
    f"{module}.{name}"
    for module in ("numpy.core.multiarray", "numpy._core.multiarray")
    for name in ("_reconstruct", "scalar")
)

_PATHS = frozenset(
    f"{module}.{name}"
    for module in ("pathlib", "pathlib._local")
    for name in ("PosixPath", "PurePath", "PurePosixPath", "PureWindowsPath", "WindowsPath")
)

STORAGES = {
    "torch.BFloat16Storage": "bfloat16",
    "torch.BoolStorage": "?",
    "torch.ByteStorage": "u1",
    "torch.CharStorage": "i1",
    "torch.DoubleStorage": "f8",
    "torch.FloatStorage": "f4",
    "torch.HalfStorage": "f2",
    "torch.IntStorage": "i4",
    "torch.LongStorage": "i8",
    "torch.ShortStorage": "i2",
}
"""torch's storage classes and numpy's code for what they hold; numpy has none for bfloat16."""

_DTYPES = frozenset(
    f"torch.{name}" for name in ("bfloat16", "bool", "float16", "float32", "float64", "int32", "int64", "uint8")
)

_ALL = _EXACT | _NUMPY | _PATHS | _DTYPES | frozenset(STORAGES)


def is_allowed(path: str) -> bool:
    """Tell whether a checkpoint may name ``path``, as in "torch.nn.modules.conv.Conv2d"."""
    return path in _ALL or (path.startswith(_FAMILIES) and len(path) < 200 and path.replace(".", "").isidentifier())


def forbidden(what: str) -> ModelError:
    """Make the error for a file that asks for more."""
    return ModelError(
        f"the checkpoint asks for {what[:200]}, which no YOLO detection model needs; nothing of it was run",
        fix="do not load this file with torch either, unless you trust who made it; if you do, export it to ONNX with "
        "the program that wrote it",
    )
