"""Every build that cannot end well and that is known beforehand: refused here, before an hour of building."""

import re
from shlex import quote

from polyyolo.engines import passthrough
from polyyolo.engines.job import Job, Program, Typing
from polyyolo.engines.profiles import dynamic_inputs
from polyyolo.engines.trtexec import SEVERAL_PROFILES, unspeakable
from polyyolo.engines.versions import refuse_too_old
from polyyolo.errors import InputError, ModelError, ProfileError, ToolchainError
from polyyolo.files import refuse_same, refuse_special
from polyyolo.records import ModelSpec, Precision, Toolchain, ToolchainKind

RTX_CAPABILITIES = ("7.5", "8.0", "8.6", "8.9")
"""What TensorRT for RTX 1.7 takes below 12.0: not 8.7, 9.0, 10.0 or 11.0."""
HALF_SCALES_SINCE = (9, 0)
"""Older ONNX parsers read the bytes of an FP16 scale as FP32."""


def refuse(job: Job) -> None:
    """Raise the first reason why this job cannot work.

    Raises:
        InputError: options that contradict each other or the model.
        ToolchainError: the toolchain cannot do it.
    """
    for check in (_toolchain, _program, _calibration, _quantization, _half, _capabilities, _paths, passthrough.refuse):
        check(job)


def name_of(toolchain: Toolchain) -> str:
    """Name a toolchain as NVIDIA does, with its version."""
    product = "TensorRT for RTX" if toolchain.kind is ToolchainKind.RTX else "TensorRT"
    return f"{product} {toolchain.tensorrt}"


def rtx_supports(capability: str) -> bool:
    """Whether TensorRT for RTX may know a compute capability, as "8.9"; from 12.0 on its own release decides."""
    return capability in RTX_CAPABILITIES or int(capability.partition(".")[0]) >= 12


def _toolchain(job: Job) -> None:
    if job.toolchain.kind is ToolchainKind.NONE and not job.toolchain.missing:
        raise InputError("--toolchain none builds no engine", fix="leave it out, or name tensorrt or rtx")
    if job.toolchain.kind is ToolchainKind.NONE:
        raise ToolchainError(
            "nothing here builds engines" + "".join(f"; {sentence}" for sentence in job.toolchain.missing),
            fix="pip install 'polyyolo[rtx]', which needs no GPU; polyyolo plan --tensorrt 10.16 is for other machines",
        )
    refuse_too_old(job.toolchain)


def _program(job: Job) -> None:
    toolchain, trtexec = job.toolchain, job.program is Program.TRTEXEC
    if trtexec and toolchain.kind is ToolchainKind.RTX:
        raise ToolchainError("trtexec does not build for TensorRT for RTX", fix="use --program polygraphy")
    here = bool(toolchain.trtexec or toolchain.polygraphy_path)
    if here and not (toolchain.trtexec if trtexec else toolchain.polygraphy_path):
        raise ToolchainError(
            f"{job.program.value} cannot build with the TensorRT here: {'; '.join(toolchain.missing)}",
            fix="use --program " + ("polygraphy" if trtexec else "trtexec"),
        )
    lost = unspeakable(tensor.name for tensor in dynamic_inputs(job.spec)) if trtexec else ()
    if lost:
        raise InputError(
            f"trtexec cannot be told the shapes of an input called {lost[0]!r}: it splits at commas and apostrophes",
            fix="use --program polygraphy, or rename it: polyyolo surgeon rename MODEL NEW --input OLD=NEW",
        )
    if trtexec and len(job.profile.optimizations) > 1 and toolchain.release < SEVERAL_PROFILES:
        if not dynamic_inputs(job.spec):
            return
        raise ProfileError(
            f"profile {job.profile.name} has {len(job.profile.optimizations)} optimisation profiles, "
            f"but trtexec {toolchain.tensorrt} takes one (--profile came with 9.0)",
            fix="use --program polygraphy, or a profile file with one [[profile]] table",
        )


def _calibration(job: Job) -> None:
    cache = job.options.calibration_cache
    if job.calibrated:
        _only_int8(job)
        _calibrator(job)
        _scales(job)
    elif cache:
        raise InputError(
            f"the qdq route has its scales in the ONNX and does not read {cache}",
            fix="use --route calibrated, or leave the cache out",
        )


def _only_int8(job: Job) -> None:
    asked = job.options.precision
    if asked is not Precision.INT8:
        raise InputError(
            f"the calibrated route is a way to INT8, but {asked.value} was asked for",
            fix="use --precision int8, or leave --route and the cache out",
        )


def _calibrator(job: Job) -> None:
    if job.is_strong_by_nature:
        removed = "" if job.toolchain.kind is ToolchainKind.RTX else " (removed in 11.0)"
        raise ToolchainError(
            f"{name_of(job.toolchain)} has no INT8 calibrator{removed}",
            fix=f"use --route qdq: polyyolo engine {quote(str(job.spec.path))} --images DIR puts the scales into the "
            "ONNX; or make ONNX and cache alone, for TensorRT 8.5 to 10, with --toolchain none",
        )
    if job.options.feed and job.program is Program.TRTEXEC:
        raise InputError(
            "trtexec calibrates on random numbers, whatever calibrator is asked for",
            fix="use --program polygraphy, or leave --calibrator out: polyyolo calibrates by itself then",
        )


def _scales(job: Job) -> None:
    if job.spec.quantized:
        raise ModelError(
            f"{job.spec.path} holds Q/DQ nodes: TensorRT would ignore the calibration cache without a word",
            fix="use --route qdq, or calibrate the model from before quantization",
        )
    if job.options.calibration_cache is None:
        raise InputError(
            "the calibrated route needs a calibration cache: without one, builders calibrate on noise and say nothing",
            fix="give a cache, a folder of pictures or an .npy with --calib, or use --route qdq",
        )


def _quantization(job: Job) -> None:
    asked = job.options.precision
    if asked is Precision.INT8 and not job.calibrated and not job.spec.quantized:
        raise ModelError(
            f"{job.spec.path} holds no Q/DQ nodes, so INT8 would have no scales (trtexec makes some up)",
            fix=f"polyyolo engine {quote(str(job.spec.path))} --images DIR quantizes it; or use --precision fp16",
        )
    refuse_other_precision(job.spec, asked)


def refuse_other_precision(spec: ModelSpec, asked: Precision) -> None:
    """Refuse to build a quantized model in anything but INT8.

    Raises:
        InputError: as above.
    """
    if asked is not Precision.INT8 and spec.quantized:
        raise InputError(
            f"{spec.path} holds Q/DQ nodes, which run in INT8, but {asked.value} was asked for",
            fix="use --precision int8, or the model from before quantization",
        )


def _half(job: Job) -> None:
    half = job.options.half
    if half is None:
        return
    if job.options.precision is Precision.FP16 and job.typing is Typing.STRONG and not half.anywhere:
        raise ModelError(
            f"{name_of(job.toolchain)} takes types from the ONNX, and {job.spec.path} is FP32 throughout",
            fix=f"polyyolo engine {quote(str(job.spec.path))} --precision fp16 casts it first; or use --precision fp32",
        )
    if half.scales and job.toolchain.kind is ToolchainKind.TENSORRT and job.toolchain.release < HALF_SCALES_SINCE:
        raise ModelError(
            f"{job.spec.path} has Q/DQ scales in FP16, which {name_of(job.toolchain)} reads as FP32",
            fix="take the model from before its cast to FP16, model.int8.onnx of a run, or TensorRT 9 or newer",
        )


def _capabilities(job: Job) -> None:
    asked = job.options.compute_capabilities
    if asked and job.toolchain.kind is ToolchainKind.TENSORRT:
        raise InputError(
            f"{name_of(job.toolchain)} builds for the GPU that it runs on; compute capabilities cannot be named",
            fix="leave --compute-capability out, or use --toolchain rtx",
        )
    for capability in asked:
        if not re.fullmatch(r"\d+\.\d", capability):
            raise InputError(f"{capability!r} is no compute capability", fix="write it as 8.9")
        if not rtx_supports(capability):
            raise ToolchainError(
                f"TensorRT for RTX does not support compute capability {capability}",
                fix=f"it supports {', '.join(RTX_CAPABILITIES)}, 12.0 and later; for other GPUs: --toolchain tensorrt",
            )


def _paths(job: Job) -> None:
    refuse_same(job.engine, job.spec.path)
    timing_cache = job.options.timing_cache
    if timing_cache:
        refuse_special(timing_cache)
        refuse_same(timing_cache, *filter(None, (job.spec.path, job.options.calibration_cache, job.engine)))
    if job.program is Program.POLYGRAPHY and ":" in str(job.spec.path):
        raise ModelError(
            f"Polygraphy cuts a path at its colon: {job.spec.path}", fix="rename the file or folder, or use trtexec"
        )
