"""What to do about the engine: build it, measure it where its GPU is, make it faster."""

import shlex
from collections.abc import Iterator
from pathlib import Path

from polyyolo.records import Check, Outcome, Route, Run
from polyyolo.records.measured import DOES_NOT_RUN
from polyyolo.reports.remedies.remedy import BUDGETS, Advice, again, otherwise
from polyyolo.reports.speed_checks import NOT_TIMED


def engine(run: Run, check: Check) -> Iterator[Advice]:
    """Advise on an engine that was not built."""
    asked = run.request
    if asked and asked.toolchain == "none":
        what = "Build the engine: run again without --toolchain none where TensorRT is; the rest is reused."
        yield Advice((check.name,), what, again(run, toolchain="auto"))
    elif run.route is Route.CALIBRATED:
        yield _packed(run, check)
    else:
        what = "Install TensorRT for RTX, which builds without a GPU, and run again; the rest is reused."
        yield Advice((check.name,), what, _joined("pip install 'polyyolo[rtx]'", again(run)))


def in_int8(run: Run, check: Check) -> Iterator[Advice]:
    """Advise on an engine in which nothing is INT8."""
    if run.route is Route.CALIBRATED:
        what = "TensorRT made nothing of the scales: build with Q/DQ nodes, which tell it what runs in INT8."
        yield Advice((check.name,), what, again(run, route=Route.QDQ))
    else:
        what = "TensorRT runs nothing in INT8: look at its layers, and build again."
        yield Advice((check.name,), what, _look(run))


def speed(run: Run, check: Check) -> Iterator[Advice]:
    """Advise on speed that was not measured, or is too low."""
    asked = run.request
    if check.got.startswith(DOES_NOT_RUN):
        yield _alone(run, check)
    elif check.outcome is Outcome.UNPROVEN:
        yield _on_gpu(run, check, "Measure how fast the engine is, on the GPU of this machine.", ("bench",))
    elif run.calibration and asked and asked.budget > BUDGETS[0]:
        less = max(budget for budget in BUDGETS if budget < asked.budget)
        what = f"Keep {less:.0%} of the work in float, in place of {asked.budget:.0%}: faster, a little less accurate."
        yield Advice((check.name,), what, again(run, budget=less))
    else:
        yield otherwise(run, check)


def speedup(run: Run, check: Check) -> Iterator[Advice]:
    """Advise on speed against another engine's: that must be measured too, on the same GPU at the same shapes."""
    if check.outcome is Outcome.UNPROVEN and check.got != NOT_TIMED:
        what = "Measure the engine to be faster than, in place of OTHER.plan, on this GPU at the same shapes."
        measured = "polyyolo bench OTHER.plan -o baseline.json"
        yield Advice((check.name,), what, _joined(measured, again(run, baseline=Path("baseline.json"))))
    else:
        yield from speed(run, check)


def own_accuracy(run: Run, check: Check) -> Iterator[Advice]:
    """Advise on what the engine computes, against what ONNX Runtime predicts."""
    labelled = run.request.labelled if run.request else None
    if check.got.startswith(DOES_NOT_RUN):
        yield _alone(run, check)
    elif check.outcome is Outcome.UNPROVEN:
        what = "Measure the engine itself on labelled pictures, on the GPU of this machine."
        yield _on_gpu(run, check, what, ("verify", "--labelled", str(labelled or "DIR")))
    else:
        what = (
            "The engine computes otherwise than ONNX Runtime predicts: look for layers that are not what was planned."
        )
        yield Advice((check.name,), what, _look(run))


def of_its_route(run: Run, check: Check) -> Advice:
    """Advise on what was measured of a model for another route: make the run by the engine's."""
    what = f"Measure what the route {run.route.value} costs in accuracy, in a run of its own."
    return Advice(
        (check.name,), what, again(run, route=run.route, toolchain="none", output=f"{run.folder}-{run.route.value}")
    )


def _alone(run: Run, check: Check) -> Advice:
    what = "The engine does not run on this GPU: free its memory, then try the engine by itself and read what it says."
    return Advice((check.name,), what, shlex.join(("polyyolo", "bench", _engine_path(run))))


def _on_gpu(run: Run, check: Check, what: str, words: tuple[str, ...]) -> Advice:
    """Give a command for the engine where this machine has its GPU, or else the way to another machine."""
    if run.engine is None or run.plan is None or not run.plan.toolchain.gpu:
        return _packed(run, check)
    verb, *options = words
    return Advice((check.name,), what, shlex.join(("polyyolo", verb, _engine_path(run), *options)))


def _packed(run: Run, check: Check) -> Advice:
    if run.calibration is None:
        builds = {"toolchain": "auto"} if run.request and run.request.toolchain == "none" else {}
        return Advice((check.name,), "Make this run on a machine with the GPU that it is for.", again(run, **builds))
    packed = f"{run.folder}-bundle"
    back = shlex.join(("polyyolo", "report", str(run.folder), "--from", packed))
    what = (
        "Build and measure on the GPU that it is for: pack the run, start build.sh and bench.sh there, and read what "
        f"comes back with {back}."
    )
    return Advice((check.name,), what, shlex.join(("polyyolo", "bundle", str(run.folder), "-o", packed)))


def _look(run: Run) -> str:
    """Give the command that lists the engine's layers; where the engine is not here, the report alone has them."""
    here = run.engine is None or run.engine.path.is_file()
    return shlex.join(("polyyolo", "inspect", "layers", _engine_path(run))) if here else ""


def _engine_path(run: Run) -> str:
    return str(run.engine.path if run.engine else run.built.path)


def _joined(*commands: str) -> str:
    return " && ".join(filter(None, commands))
