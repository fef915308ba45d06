"""From a run to what to do next: one rule for each check, in the words and with the command of whoever reads it."""

import math
import shlex
from collections.abc import Callable, Iterator
from pathlib import Path

from attrs import evolve, frozen

from polyyolo.records import Agreement, Check, Fidelity, HeadKind, Limits, Outcome, Precision, Route, Run
from polyyolo.reports.command_line import engine_line
from polyyolo.reports.verdict import ENOUGH_BOXES, STRICT_IOU

BUDGETS = (0.05, 0.10, 0.15, 0.20, 0.30, 0.50)
"""Shares of the work to keep in float that are worth a try, one after the other."""
FEW_PICTURES = 64
SETTLES_AT_MOST = 20_000
"""More labelled pictures than this are not asked for: the loss is as good as at its limit."""


@frozen
class Advice:
    """One thing to do.

    Attributes:
        checks: names of the checks that it is for.
        what: in a sentence.
        command: a line for a POSIX shell; empty where there is none.
    """

    checks: tuple[str, ...]
    what: str
    command: str = ""


Rule = Callable[[Run, Check], Iterator[Advice]]


def answer(run: Run) -> str:
    """Answer in a sentence whether this can be shipped."""
    outcome, checks = run.verdict.outcome, run.verdict.checks
    if outcome is Outcome.PASS:
        return "Yes: every check was made and passed."
    count = sum(check.outcome is outcome for check in checks)
    told = f"{count} of {len(checks)} checks"
    if outcome is Outcome.FAIL:
        return f"No: {told} failed. Do not ship this as it is."
    return f"Not yet: nothing failed, but {told} {'is' if count == 1 else 'are'} not proven."


def advise(run: Run) -> tuple[Advice, ...]:
    """Say what to do about each check that did not pass; what serves several checks is said once."""
    merged: dict[tuple[str, str], Advice] = {}
    for check in run.verdict.checks:
        if check.outcome is Outcome.PASS:
            continue
        for advice in RULES.get(check.name, _otherwise)(run, check):
            key = (advice.what, advice.command)
            earlier = merged[key].checks if key in merged else ()
            merged[key] = evolve(advice, checks=(*earlier, *(name for name in advice.checks if name not in earlier)))
    return tuple(merged.values())


def _engine(run: Run, check: Check) -> Iterator[Advice]:
    asked = run.request
    if asked and asked.toolchain == "none":
        what = "Build the engine: run again without --toolchain none where TensorRT is; the rest is reused."
        yield Advice((check.name,), what, _again(run, toolchain="auto"))
    elif run.route is Route.CALIBRATED:
        yield _packed(run, check)
    else:
        what = "Install TensorRT for RTX, which builds without a GPU, and run again; the rest is reused."
        yield Advice((check.name,), what, _joined("pip install 'polyyolo[rtx]'", _again(run)))


def _accuracy(run: Run, check: Check) -> Iterator[Advice]:
    found = run.fidelity
    drop = found.drop_points if found else None
    if run.source.quantized:
        yield _came_quantized(run, check)
    elif found is None or found.reference is None or drop is None:
        what = (
            "Measure the loss: give labelled pictures (images/ and labels/, a data.yaml or COCO JSON) in place of DIR."
        )
        yield Advice((check.name,), what, _again(run, labelled=Path("DIR")))
    elif not found.reference.map50_95:
        what = "FP32 finds nothing that the labels hold: look whether model, labels and preprocessing belong together."
        yield Advice((check.name,), what, _look(run))
    else:
        yield from _gentler(run, check)
        if check.outcome is Outcome.UNPROVEN:
            yield _more_labelled(run, check, found)


def _more_labelled(run: Run, check: Check, found: Fidelity) -> Advice:
    """Ask for as many pictures as make twice the standard error smaller than the distance to the limit."""
    limit = run.request.limits.max_drop if run.request else Limits().max_drop
    distance = abs((found.drop_points or 0.0) - limit)
    doubt = 2 * (found.drop_error or 0.0)
    wanted = found.pictures * (doubt / distance) ** 2 if distance else math.inf
    if wanted > SETTLES_AT_MOST:
        what = "The loss is at its limit, and no reasonable number of pictures tells on which side: change --max-drop."
        return Advice((check.name,), what)
    what = (
        f"Measure on about {_rounded_up(wanted):,} labelled pictures, in place of {found.pictures}: so many tell "
        f"a loss of {found.drop_points:.2f} points from the limit of {limit:g}."
    )
    return Advice((check.name,), what, _again(run, labelled=Path("DIR")))


def _agreement(run: Run, check: Check) -> Iterator[Advice]:
    found = _strict(run.fidelity)
    boxes = max(found.reference_boxes, found.candidate_boxes) if found else 0
    if run.source.quantized:
        yield _came_quantized(run, check)
    elif run.source.head.kind is HeadKind.NONE:
        what = "No YOLO head was recognised, so that there are no boxes: name its family where it has one."
        yield Advice((check.name,), what, _again(run, head=HeadKind.V8))
    elif run.fidelity is None:
        what = "Give pictures to compare on: a folder of what the model will see, in place of DIR."
        yield Advice((check.name,), what, _again(run, images=Path("DIR")))
    elif check.outcome is Outcome.UNPROVEN:
        yield _more_boxes(run, check, boxes)
    else:
        yield from _gentler(run, check)


def _more_boxes(run: Run, check: Check, boxes: int) -> Advice:
    pictures = run.fidelity.pictures if run.fidelity else 0
    if not boxes:
        what = f"The models find nothing on {pictures} pictures: look at what they see, and give pictures with objects."
        return Advice((check.name,), what, _look(run))
    count = _rounded_up(2 * pictures * ENOUGH_BOXES / boxes) if boxes < ENOUGH_BOXES else 4 * pictures
    what = f"Compare on about {count:,} pictures with objects, in place of {pictures}: {boxes} boxes tell too little."
    key = "labelled" if run.request and run.request.labelled else "images"
    return Advice((check.name,), what, _again(run, **{key: Path("DIR")}))


def _gentler(run: Run, check: Check) -> Iterator[Advice]:
    """Say what to change where INT8 costs too much: one step at a time, the one that pays most first."""
    asked, name = run.request, (check.name,)
    if run.precision is not Precision.INT8 or run.calibration is None or asked is None:
        if run.precision is Precision.FP16:
            yield Advice(name, "FP16 alone costs too much here: build in FP32.", _again(run, precision=Precision.FP32))
        return
    more = next((budget for budget in BUDGETS if budget > asked.budget + 1e-9), None)
    if run.calibration.pictures < FEW_PICTURES:
        what = (
            f"Calibrate with 128 pictures or more of what the model will see, in place of {run.calibration.pictures}."
        )
        yield Advice(name, what, _again(run, images=Path("DIR")))
    if "auto" not in asked.keep_float:
        what = "Keep in float what costs the most accuracy: it is measured on the calibration pictures."
        yield Advice(name, what, _again(run, keep_float=("auto",)))
    elif more:
        what = f"Keep {more:.0%} of the work in float, in place of {asked.budget:.0%}: more accurate, a little slower."
        yield Advice(name, what, _again(run, budget=more))
    if asked.method != "auto" and (check.outcome is Outcome.FAIL or not more):
        yield Advice(name, "Let the method of the ranges be chosen by measurement.", _again(run, method="auto"))
    elif not more:
        yield Advice(name, "INT8 does not suit this model: build in FP16.", _again(run, precision=Precision.FP16))


def _on_gpu(run: Run, check: Check) -> Iterator[Advice]:
    if run.engine is None or run.plan is None or not run.plan.toolchain.gpu:
        yield _packed(run, check)
    else:
        yield Advice((check.name,), "Measure the engine on the GPU of this machine.", _again(run))


def _packed(run: Run, check: Check) -> Advice:
    what = (
        "Build and measure on the GPU that it is for: pack the run, start build.sh and bench.sh there, and read what "
        "comes back with polyyolo report."
    )
    return Advice(
        (check.name,), what, shlex.join(("polyyolo", "bundle", str(run.folder), "-o", f"{run.folder}-bundle"))
    )


def _came_quantized(run: Run, check: Check) -> Advice:
    what = (
        "The model came quantized: compare it with its FP32 model, in place of FP32.onnx, on labelled pictures in DIR."
    )
    command = ("polyyolo", "verify", str(run.built.path), "--against", "FP32.onnx", "--labelled", "DIR")
    return Advice((check.name,), what, shlex.join(command))


def _otherwise(run: Run, check: Check) -> Iterator[Advice]:
    verb = "was not reached" if check.outcome is Outcome.FAIL else "is not proven"
    yield Advice((check.name,), f"{check.name}: {check.wanted} {verb}; {check.got}.", _again(run))


RULES: dict[str, Rule] = {
    "engine built": _engine,
    "accuracy against FP32": _accuracy,
    "box agreement with FP32": _agreement,
    "speed": _on_gpu,
    "the engine's own accuracy": _on_gpu,
}
"""By the name of the check."""


def _again(run: Run, **changes: object) -> str:
    return shlex.join(engine_line(run.request, **changes)) if run.request else ""


def _look(run: Run) -> str:
    source = run.request.images if run.request else None
    command = ("polyyolo", "inspect", "data", str(source or "DIR"), "--model", str(run.source.path))
    return shlex.join(command)


def _joined(*commands: str) -> str:
    return " && ".join(filter(None, commands))


def _strict(found: Fidelity | None) -> Agreement | None:
    return next((each for each in (found.agreements if found else ()) if each.iou == STRICT_IOU), None)


def _rounded_up(count: float) -> int:
    """Round up to two digits: such numbers are estimates."""
    step = int(10 ** max(0, math.floor(math.log10(max(count, 1))) - 1))
    return math.ceil(count / step) * step
