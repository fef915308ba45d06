"""Type and layout of a tensor, out of the words that each release of TensorRT has for them."""

import re
from collections.abc import Mapping
from typing import Any

from attrs import frozen

TYPES = {
    **dict.fromkeys(("int8", "uint8"), "INT8"),
    **dict.fromkeys(("half", "fp16"), "FP16"),
    **dict.fromkeys(("float", "fp32"), "FP32"),
    **dict.fromkeys(("bfloat16", "bf16"), "BF16"),
    **dict.fromkeys(("fp8", "float8"), "FP8"),
    **{name: name.upper() for name in ("int4", "fp4", "int32", "int64", "bool")},
}
WIDTHS = {"two": 2, "four": 4, "eight": 8, "sixteen": 16, "thirty-two": 32}
_TYPE = re.compile(rf"\b({'|'.join(TYPES)})\b", re.IGNORECASE)
_WIDE = re.compile(rf"({'|'.join(WIDTHS)})[ -]wide channel", re.IGNORECASE)
_MULTIPLE = re.compile(r"channel (?:%|==) (\d+)")


@frozen
class Tensor:
    """One input or output of a layer.

    Attributes:
        type: "INT8", "FP16", "FP32", ...; empty where the export does not tell.
        layout: "NCHW", "NHWC8", "NC/32HW32", ...; empty likewise.
    """

    name: str
    type: str
    layout: str
    dims: tuple[int, ...] = ()

    def __str__(self) -> str:
        """Give type and layout, as "INT8 NC/32HW32"."""
        return f"{self.type} {self.layout}".strip()


def read_tensor(entry: Mapping[str, Any]) -> Tensor:
    """Read one entry of a layer's "Inputs" or "Outputs".

    TensorRT 8 and 10 have one field, "Format/Datatype", with a sentence ("Channel major FP16 format where channel % 8
    == 0") or a word ("Half"); 11 has "Datatype" and "Format" apart.
    """
    together = str(entry.get("Format/Datatype", ""))
    words = str(entry.get("Datatype", together))
    dims = entry.get("Dimensions")
    return Tensor(
        name=str(entry.get("Name", "")),
        type=type_in(words),
        layout=layout_in(str(entry.get("Format", together))),
        dims=tuple(size for size in dims if isinstance(size, int)) if isinstance(dims, list) else (),
    )


def type_in(words: str) -> str:
    """Find the type in a description; empty where there is none that is known."""
    found = _TYPE.search(words)
    return TYPES[found[1].lower()] if found else ""


def layout_in(words: str) -> str:
    """Find the layout in a description, in short; empty where there is none that is known."""
    wide = _WIDE.search(words)
    if wide:
        width = WIDTHS[wide[1].lower()]
        return f"NC/{width}HW{width}"
    if words.startswith("Channel major"):
        multiple = _MULTIPLE.search(words)
        return "NHWC" + (multiple[1] if multiple else "")
    return "NCHW" if words.startswith("Row major") else ""
