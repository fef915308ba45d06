"""Judge INT8 models against their FP32 original, which runs only once for all of them."""

from pathlib import Path

from polyyolo.images.presets import preprocessing_for
from polyyolo.models.spec import read_spec
from polyyolo.quantization.placement import FloatBudget
from polyyolo.records import ModelSpec
from polyyolo.verification.accuracy import score
from polyyolo.verification.agreement import Pair, agreement
from polyyolo.verification.inference import DISPLAY, Findings, Runner, batches
from polyyolo.verification.labelled import read_labelled
from polyyolo.verification.layers import int8_share, layers


class Judge:
    """An FP32 model's boxes on labelled pictures, and what others keep of them.

    The same functions in the same order as ``polyyolo.verification.compare``, which runs both models each time.
    """

    def __init__(self, model: Path, source: Path) -> None:
        reference = read_spec(model)
        labelled = read_labelled(source, reference.names, classes=reference.head.classes)
        height, width = (dim if isinstance(dim, int) else 640 for dim in reference.image_input.dims[2:])
        self._reference = reference
        self._labelled = labelled
        self._preprocessing = preprocessing_for(reference, (height, width))
        self._found = self._findings(reference)
        self._accuracy = score(labelled, self._found.sizes, self._found.evaluated)
        self._judged: dict[str, dict[str, float]] = {}

    def judge(self, candidate: Path) -> dict[str, float]:
        """Measure one INT8 model; two ways to make one may come to the same, which is then measured once.

        Returns:
            mAP (0 to 1), drop in points of mAP50-95, box agreement (F1 at IoU 0.9 and 0.5) and the share of
            multiply-accumulates that run in INT8.
        """
        spec = read_spec(candidate, head=self._reference.head.kind)
        if spec.sha256 not in self._judged:
            self._judged[spec.sha256] = self._measured(spec)
        return self._judged[spec.sha256]

    def _measured(self, spec: ModelSpec) -> dict[str, float]:
        found = self._findings(spec)
        accuracy = score(self._labelled, found.sizes, found.evaluated)
        pairs = list(map(Pair, self._labelled.pictures, self._found.shown, found.shown))
        agreed = {iou: agreement(pairs, confidence=DISPLAY.confidence, iou=iou).f1 for iou in (0.9, 0.5)}
        listed = layers(spec, self._preprocessing.size, FloatBudget(stem=0))
        return {
            "map50_95": accuracy.map50_95,
            "map50": accuracy.map50,
            "reference_map50_95": self._accuracy.map50_95,
            "drop": 100 * (self._accuracy.map50_95 - accuracy.map50_95),
            "f1": agreed[0.9],
            "f1_at_50": agreed[0.5],
            "int8_share": int8_share(listed),
        }

    def _findings(self, spec: ModelSpec) -> Findings:
        findings = Findings(spec.head, evaluate=True)
        with Runner(spec) as runner:
            for tensors, fits in batches(self._labelled.pictures, self._preprocessing, runner.batch, "measure"):
                findings.add(runner.infer(tensors), fits)
        return findings
