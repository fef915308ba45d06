"""What a plan leaves out, adds or cannot promise, in a sentence each."""

from collections.abc import Iterator

from polyyolo.engines.job import Job, Program, Typing
from polyyolo.engines.profiles import dynamic_inputs
from polyyolo.engines.refusals import name_of, rtx_supports
from polyyolo.engines.trtexec import unspeakable
from polyyolo.records import Precision, ToolchainKind

PARSER_OPSETS = (((9, 0), 17), ((10, 0), 19), ((10, 2), 20))
"""Below this release the ONNX parser documents operators up to this opset: docs/operators.md of onnx/onnx-tensorrt."""


def notes(job: Job) -> Iterator[str]:
    """Yield what whoever reads the plan should know."""
    yield from _types(job)
    yield from _gpus(job)
    if not dynamic_inputs(job.spec):
        yield "the model has fixed shapes, so that no shapes are passed"
    newest = next((opset for below, opset in PARSER_OPSETS if job.toolchain.release < below), None)
    if job.toolchain.kind is ToolchainKind.TENSORRT and newest is not None and job.spec.opset > newest:
        yield (
            f"the model is of opset {job.spec.opset}, the parser of {name_of(job.toolchain)} documents up to {newest}: "
            "it may refuse operators that changed since"
        )


def _types(job: Job) -> Iterator[str]:
    half = job.options.half
    if job.typing is Typing.STRONG:
        yield f"{name_of(job.toolchain)} takes types from the ONNX: no --int8, no --fp16"
        if job.options.precision is Precision.INT8 and half is not None and not half.anywhere:
            yield (
                "what is not INT8 runs in FP32, for the ONNX holds no FP16: polyyolo engine casts the models that it "
                "quantizes itself"
            )
    if job.options.feed:
        yield f"Polygraphy calibrates only while {job.options.calibration_cache} is not there: it reads it otherwise"
    elif job.calibrated:
        yield "the cache must fit this model: tensors without a scale in it stay out of INT8"
    if job.program is Program.TRTEXEC:
        yield from _of_trtexec(job)


def _of_trtexec(job: Job) -> Iterator[str]:
    if job.options.precision is Precision.FP32:
        yield "trtexec leaves TF32 on, Polygraphy does not: add --noTF32 for exact FP32"
    lost = unspeakable(job.options.float_layers)
    if lost:
        yield (
            f"{len(lost)} of the layers to keep in float may run in INT8: trtexec takes no name with a comma or "
            f"apostrophe, such as {lost[0]}; build with --program polygraphy"
        )


def _gpus(job: Job) -> Iterator[str]:
    toolchain = job.toolchain
    if toolchain.kind is ToolchainKind.TENSORRT:
        yield f"the engine runs with {name_of(toolchain)} on this kind of GPU only: build where it will run"
        return
    targets = ", ".join(job.options.compute_capabilities) or "8.0, 8.6, 8.9, 12.0 and later"
    yield f"the engine runs on RTX GPUs of compute capability {targets}, on Linux and Windows"
    here = toolchain.compute_capability
    if here and not rtx_supports(here):
        yield f"the GPU here ({toolchain.gpu}, {here}) cannot run it: TensorRT for RTX does not support {here}"
