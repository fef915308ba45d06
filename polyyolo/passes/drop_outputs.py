"""Drop outputs, and everything that only they need."""

from collections.abc import Sequence

import onnx

from polyyolo.errors import InputError
from polyyolo.models.heads import recognise
from polyyolo.passes.result import PassResult
from polyyolo.passes.surgery import closed, opened


def run(model: onnx.ModelProto, *, drop: Sequence[str] = (), keep: Sequence[str] = ()) -> PassResult:
    """Drop the outputs named, or all but those to keep; without either, all that the boxes are not read from.

    The outputs that stay keep their numbers.

    Raises:
        InputError: an output that is not there, both lists given, none left, or no head to tell what is needed.
        ModelError: the model has no picture input, or several.
    """
    if drop and keep:
        raise InputError("outputs to drop and outputs to keep were both given", fix="give one of the two")
    graph = opened(model)
    names = [tensor.name for tensor in graph.outputs]
    for name in (*drop, *keep):
        if name not in names:
            raise InputError(f"the model has no output {name!r}", fix=f"its outputs are: {', '.join(map(repr, names))}")
    kept = [name for name in names if name not in drop] if drop else list(keep) or _needed(model, names)
    if not kept:
        raise InputError("dropping every output leaves no model", fix=f"keep at least one of: {', '.join(names)}")
    gone = [name for name in names if name not in kept]
    if not gone:
        return PassResult(model, changed=False, notes=("every output is needed",))
    graph.outputs = [tensor for tensor in graph.outputs if tensor.name in kept]
    return PassResult(closed(graph, model), changed=True, notes=(f"dropped {', '.join(gone)}",))


def _needed(model: onnx.ModelProto, names: Sequence[str]) -> list[str]:
    needed = list(recognise(model).outputs)
    if not needed:
        raise InputError(
            "no head was recognised, so it is not known which outputs are needed",
            fix=f"name those to drop or to keep, of: {', '.join(names)}",
        )
    return needed
