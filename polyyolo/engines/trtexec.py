"""How trtexec 8.5 to 11 is told to build; the changes are those of sampleOptions.cpp in NVIDIA/TensorRT."""

from collections.abc import Iterable, Iterator

from polyyolo.engines.job import Job
from polyyolo.engines.profiles import dynamic_inputs
from polyyolo.engines.trtexec_shapes import SEPARATORS, spelled
from polyyolo.records import Command

SEVERAL_PROFILES = (9, 0)
"""The first release with --profile."""
SKIP_INFERENCE = (8, 6)
"""The first release with --skipInference; it was --buildOnly before, which 10.0 dropped."""
CONSTRAINTS, LAYERS = "--precisionConstraints", "--layerPrecisions"
VERBOSITY = "--profilingVerbosity"
"""Without it an engine forgets what its layers are, and only their names can be read from it."""


def command(job: Job) -> Command:
    """Spell a build in the dialect of the toolchain's release."""
    options = job.options
    argv = [
        str(job.toolchain.trtexec or "trtexec"),
        f"--onnx={job.spec.path}",
        f"--saveEngine={job.engine}",
        *job.flags,
    ]
    if job.must_say_strong:
        argv.append("--stronglyTyped")
    if options.calibration_cache:
        argv.append(f"--calib={options.calibration_cache}")
    argv.extend(_in_float(job))
    argv.extend(_shapes(job))
    if options.timing_cache:
        argv.append(f"--timingCacheFile={options.timing_cache}")
    if options.workspace_mib:
        argv.append(f"--memPoolSize=workspace:{options.workspace_mib}")
    if VERBOSITY not in options.extra_options:
        argv.append(f"{VERBOSITY}=detailed")
    argv.append("--skipInference" if job.toolchain.release >= SKIP_INFERENCE else "--buildOnly")
    return Command((*argv, *options.extra))


def unspeakable(names: Iterable[str]) -> tuple[str, ...]:
    """Give the names of layers or tensors that no list of trtexec's can hold."""
    return tuple(name for name in names if set(name) & SEPARATORS)


def _in_float(job: Job) -> Iterator[str]:
    """Yield what keeps layers in float; they are obeyed only when told to be, and the user's own words come first."""
    lost = unspeakable(job.options.float_layers)
    names = [name for name in job.options.float_layers if name not in lost]
    if names and not {CONSTRAINTS, LAYERS} & set(job.options.extra_options):
        yield f"{CONSTRAINTS}=obey"
        yield f"{LAYERS}={','.join(f'{name}:fp16' for name in names)}"


def _shapes(job: Job) -> Iterator[str]:
    """Yield shapes of the inputs with open axes only: trtexec stops when a model of fixed shape is told any."""
    names = [tensor.name for tensor in dynamic_inputs(job.spec)]
    if not names:
        return
    several = len(job.profile.optimizations) > 1
    for index, shapes in enumerate(job.profile.optimizations):
        if several:
            yield f"--profile={index}"
        for bound in ("min", "opt", "max"):
            yield f"--{bound}Shapes={spelled({name: getattr(shapes[name], bound) for name in names})}"
