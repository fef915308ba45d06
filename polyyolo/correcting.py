"""The step that makes weights ready for INT8 where more is asked for than rounding them to the nearest."""

from collections.abc import Mapping

from attrs import frozen

from polyyolo import files
from polyyolo.decisions import Decisions
from polyyolo.quantization.corrections.clipping import DEFAULT
from polyyolo.quantization.corrections.correct import clipped, correct
from polyyolo.quantization.corrections.keeping import read, save
from polyyolo.quantization.corrections.moments import STEP
from polyyolo.quantization.corrections.treatment import Treatment, treatment_of
from polyyolo.quantization.insertion import AS_THEY_ARE, Weights
from polyyolo.quantization.placement import Placement
from polyyolo.records import ModelSpec
from polyyolo.verification.gauge import look_of
from polyyolo.workspace import Workspace

WEIGHTS = "weights.npz"


@frozen(eq=False)
class Treated:
    """Weights as they were asked for.

    Attributes:
        weights: by node identity, of all nodes that could run in INT8; empty where nothing was asked for.
        sha256: of the file that corrected ones are kept in; empty where no picture was needed.
    """

    treatment: Treatment
    weights: Mapping[str, Weights]
    sha256: str = ""


def treat_weights(space: Workspace, decisions: Decisions, prepared: ModelSpec, whole: Placement) -> Treated:
    """Clip and correct weights as asked for.

    What else stays in float is chosen later, so that another budget needs no second correction.

    Args:
        space: where the step is done or reused.
        decisions: what was asked for, and the pictures.
        prepared: the FP32 model.
        whole: all that could be quantized.
    """
    treatment = treatment_of(decisions.request)
    if not treatment.needs_pictures:
        usual = treatment.clip == DEFAULT
        return Treated(treatment, AS_THEY_ARE if usual else clipped(prepared, whole.nodes, treatment.clip))
    chosen = decisions.calibration
    assert chosen is not None  # noqa: S101 - decide() refuses INT8 without pictures

    def make() -> str:
        look = look_of(decisions.spec.head)
        save(correct(prepared, whole.nodes, chosen, treatment, look), space.path(WEIGHTS))
        return files.sha256_of(space.path(WEIGHTS))

    inputs = {
        "model": prepared.sha256,
        "set": chosen.sha256,
        "batch": chosen.batch,
        "preprocessing": chosen.preprocessing,
        "head": decisions.spec.head,
        "nodes": whole.nodes,
        "treatment": treatment,
    }
    sha256 = space.step(STEP, inputs, [WEIGHTS], make, str)
    return Treated(treatment, read(space.path(WEIGHTS)), sha256)
