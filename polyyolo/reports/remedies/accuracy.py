"""What to do where INT8 costs too much, or too little was measured to tell."""

import math
import shlex
from collections.abc import Iterator

from polyyolo.records import Check, Fidelity, HeadKind, Limits, Outcome, Precision, Route, Run
from polyyolo.reports.accuracy_checks import ENOUGH_BOXES, strict
from polyyolo.reports.command_line import preprocessing_words
from polyyolo.reports.remedies.remedy import BUDGETS, Advice, again, with_pictures
from polyyolo.wording import counted

FEW_PICTURES = 64
SETTLES_AT_MOST = 20_000
"""More labelled pictures than this are not asked for: the loss is as good as at its limit."""


def accuracy(run: Run, check: Check) -> Iterator[Advice]:
    """Advise on mAP against FP32."""
    found = run.fidelity
    drop = found.drop_points if found else None
    if run.source.quantized:
        yield _came_quantized(run, check)
    elif run.source.head.kind is HeadKind.NONE:
        yield _no_head(run, check)
    elif found is None or found.reference is None or drop is None:
        what = (
            "Measure the loss: give labelled pictures (images/ and labels/, a data.yaml or COCO JSON) in place of DIR."
        )
        yield with_pictures(run, check, what, "labelled")
    elif found.reference.finds_hardly_anything:
        what = "FP32 finds hardly anything of the labels: look whether model, labels and preprocessing belong together."
        yield Advice((check.name,), what, _look(run))
    else:
        yield from _gentler(run, check)
        if check.outcome is Outcome.UNPROVEN:
            yield _more_labelled(run, check, found)


def agreement(run: Run, check: Check) -> Iterator[Advice]:
    """Advise on the agreement of boxes with FP32."""
    found = strict(run.fidelity)
    boxes = max(found.reference_boxes, found.candidate_boxes) if found else 0
    if run.source.quantized:
        yield _came_quantized(run, check)
    elif run.source.head.kind is HeadKind.NONE:
        yield _no_head(run, check)
    elif run.fidelity is None:
        what = "Give pictures to compare on: a folder of what the model will see, in place of DIR."
        yield with_pictures(run, check, what, "images")
    else:
        if boxes >= ENOUGH_BOXES:
            yield from _rounding(run, check)
            yield from _gentler(run, check)
        if check.outcome is Outcome.UNPROVEN:
            yield _more_boxes(run, check, boxes)


def _more_labelled(run: Run, check: Check, found: Fidelity) -> Advice:
    """Ask for as many pictures as make twice the standard error smaller than the distance to the limit."""
    if found.drop_error is None:
        what = f"Measure on about 100 labelled pictures, in place of {found.pictures}: so few do not tell of chance."
        return with_pictures(run, check, what, "labelled")
    limit = run.request.limits.max_drop if run.request else Limits().max_drop
    distance = abs((found.drop_points or 0.0) - limit)
    doubt = 2 * found.drop_error
    wanted = found.pictures * (doubt / distance) ** 2 if distance else math.inf
    if wanted > SETTLES_AT_MOST:
        what = "The loss is at its limit, and no reasonable number of pictures tells on which side: change --max-drop."
        return Advice((check.name,), what)
    what = (
        f"Measure on about {_rounded_up(wanted):,} labelled pictures, in place of {found.pictures}: so many tell "
        f"a loss of {found.drop_points:.2f} points from the limit of {limit:g}."
    )
    return with_pictures(run, check, what, "labelled")


def _more_boxes(run: Run, check: Check, boxes: int) -> Advice:
    pictures = run.fidelity.pictures if run.fidelity else 0
    if not boxes:
        what = f"The models find nothing on {pictures} pictures: look at what they see, and give pictures with objects."
        return Advice((check.name,), what, _look(run))
    count = _rounded_up(pictures * (2 * ENOUGH_BOXES / boxes if boxes < ENOUGH_BOXES else 4))
    found = f"{counted(boxes, 'box', 'boxes')} on {counted(pictures, 'picture')}"
    what = f"Compare on about {count:,} pictures with objects: {found} are too few to tell."
    key = "labelled" if run.request and run.request.labelled else "images"
    return with_pictures(run, check, what, key)


def _came_quantized(run: Run, check: Check) -> Advice:
    what = (
        "The model came quantized: compare it with its FP32 model, in place of FP32.onnx, on labelled pictures in DIR."
    )
    command = ("polyyolo", "verify", str(run.built.path), "--against", "FP32.onnx", "--labelled", "DIR")
    return Advice((check.name,), what, shlex.join(command))


def _no_head(run: Run, check: Check) -> Advice:
    what = (
        f"No YOLO head was recognised, so that there are no boxes ({run.source.head.why}): export the model as that "
        "says, or name its family with --head where it has one."
    )
    return Advice((check.name,), what, shlex.join(("polyyolo", "inspect", "model", str(run.source.path))))


def _rounding(run: Run, check: Check) -> Iterator[Advice]:
    """Advise what costs no speed, and paid in boxes on three models where the most costly nodes are in float."""
    asked = run.request
    quantized = asked is not None and run.precision is Precision.INT8 and run.calibration is not None
    if (
        asked
        and quantized
        and asked.route is Route.QDQ
        and "auto" in asked.keep_float
        and "rounding" not in asked.correct
    ):
        what = "Make up for the rounding of weights: the engine stays as fast, the run takes about a minute longer."
        yield Advice((check.name,), what, again(run, correct=("rounding",)))


def _gentler(run: Run, check: Check) -> Iterator[Advice]:
    """Say what to change where INT8 costs too much: one step at a time, the one that pays most first."""
    asked, name = run.request, (check.name,)
    if run.precision is not Precision.INT8 or run.calibration is None or asked is None:
        if run.precision is Precision.FP16:
            yield Advice(name, "FP16 alone costs too much here: build in FP32.", again(run, precision=Precision.FP32))
        return
    more = next((budget for budget in BUDGETS if budget > asked.budget + 1e-9), None)
    if run.calibration.pictures < FEW_PICTURES:
        what = (
            f"Calibrate with 128 pictures or more of what the model will see, in place of {run.calibration.pictures}."
        )
        yield with_pictures(run, check, what, "images")
    if "auto" not in asked.keep_float:
        what = "Keep in float what costs the most accuracy: it is measured on the calibration pictures."
        yield Advice(name, what, again(run, keep_float=("auto",)))
    elif more:
        what = f"Keep {more:.0%} of the work in float, in place of {asked.budget:.0%}: more accurate, a little slower."
        yield Advice(name, what, again(run, budget=more))
    if asked.method != "auto" and (check.outcome is Outcome.FAIL or not more):
        yield Advice(name, "Let the method of the ranges be chosen by measurement.", again(run, method="auto"))
    elif not more:
        yield Advice(name, "INT8 does not suit this model: build in FP16.", again(run, precision=Precision.FP16))


def _look(run: Run) -> str:
    source = run.request.images if run.request else None
    fed = preprocessing_words(run.request.overrides) if run.request else ()
    return shlex.join(("polyyolo", "inspect", "data", str(source or "DIR"), "--model", str(run.source.path), *fed))


def _rounded_up(count: float) -> int:
    """Round up to two digits: such numbers are estimates."""
    step = int(10 ** max(0, math.floor(math.log10(max(count, 1))) - 1))
    return math.ceil(count / step) * step
