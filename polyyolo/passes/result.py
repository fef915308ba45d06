"""What a pass gives back."""

import onnx
from attrs import frozen


@frozen
class PassResult:
    """A model after one pass; the model that went in is as it was.

    Attributes:
        changed: whether anything in it differs from the model that went in.
        notes: what the pass did or left alone, a sentence each.
    """

    model: onnx.ModelProto
    changed: bool
    notes: tuple[str, ...] = ()
