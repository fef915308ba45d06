"""The steps that make a model INT8: calibrate, find what should stay in float, choose a method, put in Q/DQ nodes."""

from collections import Counter
from collections.abc import Mapping

from attrs import evolve, frozen

from polyyolo import files, progress
from polyyolo.calibration import thresholds
from polyyolo.calibration.table import calibrate as measure_ranges
from polyyolo.calibration.table import with_method
from polyyolo.correcting import treat_weights
from polyyolo.decisions import Decisions
from polyyolo.errors import ModelError
from polyyolo.images.choose import refuse_changed
from polyyolo.images.preview import contact_sheet
from polyyolo.images.stream import batches
from polyyolo.quantization.cache_tensors import to_measure, typed_graph
from polyyolo.quantization.flow import flow_of
from polyyolo.quantization.placement import FloatBudget, Placement
from polyyolo.quantization.quantize import known_nodes, placement_of, quantize
from polyyolo.quantization.sensitivity import Trial, most_costly, sensitivities
from polyyolo.quantization.work import macs_of
from polyyolo.records import CalibrationTable, ModelSpec, Sensitivity
from polyyolo.verification.gauge import Gauge, look_of
from polyyolo.workspace import Workspace

INT8 = "model.int8.onnx"
TABLE, HISTOGRAMS, SHEET = "calibration.json", "histograms.npz", "calibration.png"
TRIED = 8
"""Pictures that sensitivity is measured on; twice as many choose hardly better."""
CHOICE = "choose a method"
TRIED_METHODS = (thresholds.DEFAULT, "mse", "percentile-99.999", "percentile-99.9995")
CLEARLY = 0.9
"""Another method must have this share of the usual one's noise, or less: 8 pictures do not tell smaller differences."""


@frozen
class Quantized:
    """A model with Q/DQ nodes and what decided them.

    Attributes:
        spec: its types are all FP32 still.
        sensitivities: what each tensor costs, where that was measured.
    """

    spec: ModelSpec
    table: CalibrationTable
    budget: FloatBudget
    placement: Placement
    sensitivities: tuple[Sensitivity, ...]


@frozen
class Chosen:
    """What the step that chooses a method keeps: the noise by method, as power against the signal's."""

    noise: Mapping[str, float]
    method: str


@frozen
class Sensitivities:
    """What the sensitivity step keeps."""

    sensitivities: tuple[Sensitivity, ...]


def quantize_model(space: Workspace, decisions: Decisions, prepared: ModelSpec) -> Quantized:
    """Calibrate, find what should stay in float, and put Q/DQ nodes around the rest.

    Raises:
        ModelError: nothing in the model could run in INT8.
        InputError: a node is to be kept in float that is not there.
    """
    size = decisions.preprocessing.size
    widest = FloatBudget(names=known_nodes(prepared, decisions.named_float))
    whole = _placed(decisions, prepared, widest)
    table = _calibrate(space, decisions, prepared, whole)
    share = decisions.request.budget
    found = _sensitivities(space, decisions, prepared, table, whole) if share and decisions.spares("auto") else ()
    by_place = decisions.spares("stem") or (decisions.spares("auto") and not found)
    sensitive = most_costly(found, flow_of(prepared, size), share) if found else ()
    stem = share if by_place else 0
    budget = evolve(widest, stem=stem, sensitive=sensitive, head=not decisions.calibrates)
    placement = _placed(decisions, prepared, budget)
    _refuse_nothing(decisions, placement)
    if decisions.request.method == thresholds.AUTO:
        table = evolve(table, method=_best_method(space, decisions, prepared, table, placement))
    treated = treat_weights(space, decisions, prepared, whole)
    output = space.path(INT8)
    weights = {"treatment": treated.treatment, "weights": treated.sha256}
    inputs = {"model": prepared.sha256, "table": table, "placement": placement, **weights}

    def make() -> ModelSpec:
        files.write_json(space.path(TABLE), table)
        return quantize(prepared, table, placement, output, treated.weights)

    made = space.step("quantize", inputs, [INT8, TABLE], make, ModelSpec)
    history = (*made.history, *treated.treatment.told)
    return Quantized(evolve(made, path=output, history=history), table, budget, placement, found)


def _placed(decisions: Decisions, prepared: ModelSpec, budget: FloatBudget) -> Placement:
    """Decide what runs in INT8, around 0 where that was asked for or TensorRT quantizes by itself."""
    placement = placement_of(prepared, decisions.preprocessing.size, budget)
    shifts = decisions.request.shift and not decisions.calibrates
    around_zero = tuple(each for each in placement.early if each.lowest is None)
    return placement if shifts else evolve(placement, lowest={}, early=around_zero)


def _refuse_nothing(decisions: Decisions, placement: Placement) -> None:
    if not placement.nodes:
        raise ModelError(
            f"{decisions.spec.path} has nothing that could run in INT8: {_told(placement)}",
            fix="build it with --precision fp16, or leave less in float",
        )


def _told(placement: Placement) -> str:
    reasons = Counter(placement.in_float.values())
    counts = [f"{count} {reason}" for reason, count in reasons.items()]
    return "; ".join(counts) or "it holds no convolution or matrix product with weights"


def _calibrate(space: Workspace, decisions: Decisions, prepared: ModelSpec, placement: Placement) -> CalibrationTable:
    _refuse_nothing(decisions, placement)
    chosen = decisions.calibration
    assert chosen is not None  # noqa: S101 - decide() refuses INT8 without pictures
    for_cache = decisions.calibrates or decisions.request.for_both_routes
    tensors = to_measure(typed_graph(prepared), placement) if for_cache else placement.measured

    def make() -> CalibrationTable:
        look = look_of(decisions.spec.head)
        made = measure_ranges(prepared, chosen, tensors, thresholds.DEFAULT, space.path(HISTOGRAMS), look=look)
        contact_sheet(chosen, space.path(SHEET))
        refuse_changed(chosen)
        return made

    inputs = {
        "model": prepared.sha256,
        "set": chosen.sha256,
        "batch": chosen.batch,
        "preprocessing": chosen.preprocessing,
        "tensors": tensors,
        "head": decisions.spec.head,
    }
    table = space.step("calibrate", inputs, [HISTOGRAMS, SHEET], make, CalibrationTable)
    asked = decisions.request.method
    return table if asked == thresholds.AUTO else with_method(table, asked, space.path(HISTOGRAMS))


def _sensitivities(
    space: Workspace, decisions: Decisions, prepared: ModelSpec, table: CalibrationTable, whole: Placement
) -> tuple[Sensitivity, ...]:
    """Measure on calibration pictures what each tensor costs; nothing where the model sees nothing on them."""

    def make() -> Sensitivities:
        trial = _trial(decisions, prepared)
        work = macs_of(prepared, decisions.preprocessing.size)
        return Sensitivities(sensitivities(trial, prepared, whole, table, work) if trial.pictures else ())

    inputs = {**_tried_with(decisions, prepared), "table": table, "placement": whole}
    return space.step("sensitivity", inputs, [], make, Sensitivities).sensitivities


def _best_method(
    space: Workspace, decisions: Decisions, prepared: ModelSpec, table: CalibrationTable, placement: Placement
) -> str:
    """Choose the method with the least noise on calibration pictures, the usual one unless another is far better."""

    def make() -> Chosen:
        trial = _trial(decisions, prepared)
        if not trial.pictures:
            return Chosen({}, thresholds.DEFAULT)
        noise = {
            each: trial.noise(placement, evolve(table, method=each)) for each in progress.track(TRIED_METHODS, CHOICE)
        }
        best = min(noise, key=lambda each: noise[each])
        clear = noise[best] < CLEARLY * noise[thresholds.DEFAULT]
        return Chosen(noise, best if clear else thresholds.DEFAULT)

    inputs = {**_tried_with(decisions, prepared), "table": table, "placement": placement}
    chosen = space.step(CHOICE, inputs, [], make, Chosen)
    told = ", ".join(f"{each} {noise:.2g}" for each, noise in chosen.noise.items())
    progress.note(f"method {chosen.method}: noise against the signal, as power: {told or 'not measured'}")
    return chosen.method


def _tried_with(decisions: Decisions, prepared: ModelSpec) -> Mapping[str, object]:
    """Give what decides on which pictures a trial measures, and what counts there: it takes the first of each batch."""
    chosen = decisions.calibration
    batch = chosen.batch if chosen else 0
    return {"model": prepared.sha256, "head": decisions.spec.head, "batch": batch}


def _trial(decisions: Decisions, prepared: ModelSpec) -> Trial:
    chosen = decisions.calibration
    assert chosen is not None  # noqa: S101 - decide() refuses INT8 without pictures
    trial = Trial.on(prepared, Gauge(decisions.spec.head), batches(chosen), TRIED)
    if not trial.pictures:
        progress.warn(
            "the model sees nothing on the calibration pictures: what INT8 costs cannot be measured",
            "calibrate with pictures of what it should find; what is nearest the image stays in float meanwhile",
        )
    return trial
