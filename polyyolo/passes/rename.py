"""Give inputs and outputs other names."""

from collections.abc import Mapping

import onnx
import onnx_graphsurgeon as gs

from polyyolo.errors import InputError
from polyyolo.passes.result import PassResult
from polyyolo.passes.surgery import closed, opened

NO_NAMES: Mapping[str, str] = {}


def run(
    model: onnx.ModelProto, *, inputs: Mapping[str, str] = NO_NAMES, outputs: Mapping[str, str] = NO_NAMES
) -> PassResult:
    """Rename; nothing else changes.

    Args:
        model: as ``models.spec.load`` gives it.
        inputs: old name -> new name; names may be swapped.
        outputs: the same for outputs.

    Raises:
        InputError: a name that is not there, or one that is taken.
    """
    graph = opened(model)
    _check_known(inputs, graph.inputs, "input")
    _check_known(outputs, graph.outputs, "output")
    wanted = {**inputs, **outputs}
    _check_free(wanted, graph)
    for tensor in [*graph.inputs, *graph.outputs]:
        tensor.name = wanted.pop(tensor.name, tensor.name)
    renamed = {old: new for old, new in {**inputs, **outputs}.items() if old != new}
    notes = tuple(f"{old} became {new}" for old, new in renamed.items())
    return PassResult(closed(graph, model) if renamed else model, changed=bool(renamed), notes=notes)


def _check_known(names: Mapping[str, str], tensors: list[gs.Tensor], kind: str) -> None:
    known = [tensor.name for tensor in tensors]
    for name in names:
        if name not in known:
            raise InputError(f"the model has no {kind} {name!r}", fix=f"its {kind}s are: {', '.join(map(repr, known))}")


def _check_free(wanted: Mapping[str, str], graph: gs.Graph) -> None:
    taken = set(graph.tensors()) - set(wanted)
    for old, new in wanted.items():
        if not new or new in taken:
            raise InputError(
                f"{old!r} cannot become {new!r}: " + ("that is no name" if not new else "another tensor has that name"),
                fix="choose a name that the graph does not use",
            )
        taken.add(new)
