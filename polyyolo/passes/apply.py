"""Run passes one after the other over a model file, and write what comes out."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import onnx
from attrs import field, frozen

from polyyolo.errors import InputError, ModelError
from polyyolo.files import replacing
from polyyolo.models.spec import load, read_spec
from polyyolo.passes import (
    cut_decode,
    drop_outputs,
    fold_constants,
    fuse_dfl,
    join_siblings,
    leakyrelu_to_relu,
    merge_decode,
    metadata,
    odd_kernel,
    pool_first,
    read_whole,
    rename,
    shape,
    simplify,
    turn_late,
)
from polyyolo.passes.result import PassResult
from polyyolo.progress import note, step
from polyyolo.records import ModelSpec

PASSES: Mapping[str, Callable[..., PassResult]] = {
    "cut-decode": cut_decode.run,
    "drop-outputs": drop_outputs.run,
    "fold-constants": fold_constants.run,
    "fuse-dfl": fuse_dfl.run,
    "join-siblings": join_siblings.run,
    "leakyrelu-to-relu": leakyrelu_to_relu.run,
    "merge-decode": merge_decode.run,
    "metadata": metadata.run,
    "odd-kernel": odd_kernel.run,
    "pool-first": pool_first.run,
    "read-whole": read_whole.run,
    "rename": rename.run,
    "shape": shape.run,
    "simplify": simplify.run,
    "turn-late": turn_late.run,
}


@frozen
class Step:
    """One pass and its options.

    Attributes:
        name: a key of ``PASSES``.
        options: keyword arguments of that pass's ``run``.
    """

    name: str
    options: Mapping[str, object] = field(factory=dict)

    def __str__(self) -> str:
        """Write it as the history of a model has it."""
        options = ", ".join(
            f"{key}={value!r}" for key, value in self.options.items() if value not in (None, (), {}, False)
        )
        return f"{self.name}({options})" if options else self.name


def apply(spec: ModelSpec, steps: Sequence[Step], output: Path, *, elsewhere: str = "with -o") -> ModelSpec:
    """Run ``steps`` in order, have the ONNX checker accept the result, and write it whole or not at all.

    Args:
        spec: the model to begin with; its file stays as it is unless ``output`` is the same.
        steps: passes that find nothing to do leave no trace in the history.
        output: an .onnx file; weights that lay in other files come into it.
        elsewhere: how the user names another folder for it.

    Returns:
        What the new file is.

    Raises:
        InputError: a pass that does not exist, or options that do not fit the model.
        ModelError: a pass cannot work with the model, or the result is more than an ONNX file can hold (2 GB).
        ToolchainError: the disk is full.
    """
    model, history = load(spec.path), list(spec.history)
    for each in steps:
        with step(each.name):
            result = _run(each, model)
        for line in result.notes:
            note(f"{each.name}: {line}")
        model = result.model
        history += [str(each)] if result.changed else []
    _save(model, output, after=", ".join(map(str, steps)), elsewhere=elsewhere)
    return read_spec(output, history=history)


def _run(wanted: Step, model: onnx.ModelProto) -> PassResult:
    if wanted.name not in PASSES:
        raise InputError(f"there is no pass {wanted.name!r}", fix=f"the passes are: {', '.join(PASSES)}")
    return PASSES[wanted.name](model, **wanted.options)


def _save(model: onnx.ModelProto, output: Path, *, after: str, elsewhere: str) -> None:
    try:
        onnx.checker.check_model(model, full_check=True)
        data = model.SerializeToString()
    except (onnx.checker.ValidationError, onnx.shape_inference.InferenceError, ValueError) as error:
        raise ModelError(
            f"after {after or 'no pass'} the ONNX checker refuses the model: {error}",
            fix="leave that pass out, or export the model again",
        ) from error
    with replacing(output, elsewhere=elsewhere) as temporary:
        temporary.write_bytes(data)
