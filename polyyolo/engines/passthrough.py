"""Words that go to trtexec or Polygraphy as they are: those that would undo what polyyolo decided are refused."""

from polyyolo.engines.job import Job, Program
from polyyolo.errors import InputError

DECIDED = {
    Program.TRTEXEC: {
        **dict.fromkeys(("--onnx", "--model"), "name the model as MODEL"),
        **dict.fromkeys(("--saveEngine", "--loadEngine"), "name the engine with -o"),
        **dict.fromkeys(("--int8", "--fp16", "--best", "--stronglyTyped"), "use --precision"),
        "--calib": "use --calib before the --",
        **dict.fromkeys(("--minShapes", "--optShapes", "--maxShapes", "--shapes", "--profile"), "use --profile"),
        "--timingCacheFile": "use --timing-cache",
        **dict.fromkeys(("--skipInference", "--buildOnly"), "leave it out: nothing is run while an engine is built"),
    },
    Program.POLYGRAPHY: {
        **dict.fromkeys(("-o", "--output"), "name the engine with -o before the --"),
        **dict.fromkeys(("--int8", "--fp16", "--strongly-typed"), "use --precision"),
        "--convert-to": "polyyolo build makes engines only",
        "--calibration-cache": "use --calib before the --",
        **dict.fromkeys(("--data-loader-script", "--calib-base-cls", "--calibration-base-class"), "use --calibrator"),
        **dict.fromkeys(("--trt-min-shapes", "--trt-opt-shapes", "--trt-max-shapes"), "use --profile"),
        **dict.fromkeys(("--load-timing-cache", "--save-timing-cache"), "use --timing-cache"),
        "--compute-capabilities": "use --compute-capability",
    },
}
"""Options that polyyolo sets or leaves out for a reason, and what to use instead."""
POOLS = ("--memPoolSize", "--workspace", "--pool-limit", "--memory-pool-limit")


def refuse(job: Job) -> None:
    """Refuse words that say something else than the plan does.

    Raises:
        InputError: an option that is polyyolo's to decide, or that the plan has set already.
    """
    for word, name in zip(job.options.extra, job.options.extra_options, strict=True):
        for option, instead in DECIDED[job.program].items():
            if _means(name, option, job.program):
                raise InputError(f"{word} would change what polyyolo decides", fix=instead)
        if job.options.workspace_mib and any(_means(name, option, job.program) for option in POOLS):
            raise InputError(f"{word} is set by --workspace already", fix="leave one of them out")


def _means(name: str, option: str, program: Program) -> bool:
    """Whether a program takes a word for an option.

    Polygraphy takes the beginning of a long option for the whole, and what follows a short one for its value.
    """
    if program is Program.TRTEXEC:
        return name == option
    if option.startswith("--"):
        return name.startswith("--") and len(name) > 2 and option.startswith(name)
    return name.startswith(option)
