"""How ``polygraphy convert`` is told to build, with TensorRT 8.5 to 11 and with TensorRT for RTX."""

from collections.abc import Iterator

from polyyolo.engines import calibrators
from polyyolo.engines.job import Job
from polyyolo.engines.profiles import dynamic_inputs
from polyyolo.files import file_word
from polyyolo.records import Command, ToolchainKind

RTX_ENV = {"POLYGRAPHY_USE_TENSORRT_RTX": "1"}
CONSTRAINTS, LAYERS = "--precision-constraints", "--layer-precisions"
VERBOSITY = "--profiling-verbosity"
"""Without it an engine forgets what its layers are, and only their names can be read from it."""


def command(job: Job) -> Command:
    """Spell a build for Polygraphy; the model comes first, since later options take any number of values."""
    options = job.options
    argv = [str(job.toolchain.polygraphy_path or "polygraphy"), "convert", file_word(job.spec.path)]
    argv += ["--convert-to", "trt", "-o", file_word(job.engine), *job.flags]
    if job.must_say_strong:
        argv.append("--strongly-typed")
    if options.calibration_cache and options.feed:
        argv.extend(calibrators.words(options.feed, file_word(options.calibration_cache)))
    elif options.calibration_cache:
        argv += ["--calibration-cache", file_word(options.calibration_cache)]
    if options.float_layers and not {CONSTRAINTS, LAYERS} & set(options.extra_options):
        argv += [CONSTRAINTS, "obey", LAYERS, *(f"{name}:float16" for name in options.float_layers)]
    argv.extend(_shapes(job))
    if options.timing_cache:
        timing_cache = file_word(options.timing_cache)
        argv += ["--load-timing-cache", timing_cache, "--save-timing-cache", timing_cache]
    if options.compute_capabilities:
        argv += ["--compute-capabilities", *options.compute_capabilities]
    if options.workspace_mib:
        argv += ["--pool-limit", f"workspace:{options.workspace_mib}M"]
    if VERBOSITY not in options.extra_options:
        argv += [VERBOSITY, "detailed"]
    env = RTX_ENV if job.toolchain.kind is ToolchainKind.RTX else {}
    fed = calibrators.environment(options.feed) if options.feed else {}
    return Command((*argv, *options.extra), {**env, **fed})


def _shapes(job: Job) -> Iterator[str]:
    """Yield shapes of the inputs with open axes, once for each optimisation profile."""
    names = [tensor.name for tensor in dynamic_inputs(job.spec)]
    if not names:
        return
    for shapes in job.profile.optimizations:
        for bound in ("min", "opt", "max"):
            yield f"--trt-{bound}-shapes"
            yield from (f"{name}:[{','.join(str(size) for size in getattr(shapes[name], bound))}]" for name in names)
