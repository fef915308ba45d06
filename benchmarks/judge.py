"""Judge INT8 models against their FP32 original, which runs only once for all of them."""

from pathlib import Path

from polyyolo.images.presets import preprocessing_for
from polyyolo.models.own_size import own_size
from polyyolo.models.spec import read_spec
from polyyolo.quantization.placement import FloatBudget
from polyyolo.records import Accuracy, ModelSpec
from polyyolo.verification.accuracy import score
from polyyolo.verification.agreement import Pair, agreement
from polyyolo.verification.inference import DISPLAY
from polyyolo.verification.labelled import read_labelled
from polyyolo.verification.layers import int8_share, layers
from polyyolo.verification.sightings import Sighting, View, look


class Judge:
    """An FP32 model's boxes on labelled pictures, and what others keep of them.

    The same functions in the same order as ``polyyolo.verification.compare``, which runs both models each time.
    """

    def __init__(self, model: Path, source: Path) -> None:
        reference = read_spec(model)
        labelled = read_labelled(source, reference.names, classes=reference.head.classes)
        height, width = own_size(reference)
        self._reference = reference
        self._labelled = labelled
        self._preprocessing = preprocessing_for(reference, (height, width))
        self._found = self._seen(reference)
        self._accuracy = self._scored(self._found)
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
        seen = self._seen(spec)
        accuracy = self._scored(seen)
        both = zip(self._labelled.pictures, self._found, seen, strict=True)
        pairs = [Pair(path, ours.shown[0], theirs.shown[0]) for path, ours, theirs in both]
        agreed = {iou: agreement(pairs, confidence=DISPLAY.confidence, iou=iou).f1 for iou in (0.9, 0.5)}
        listed = layers(spec, self._preprocessing.size, FloatBudget())
        return {
            "map50_95": accuracy.map50_95,
            "map50": accuracy.map50,
            "reference_map50_95": self._accuracy.map50_95,
            "drop": 100 * (self._accuracy.map50_95 - accuracy.map50_95),
            "f1": agreed[0.9],
            "f1_at_50": agreed[0.5],
            "int8_share": int8_share(listed),
        }

    def _seen(self, spec: ModelSpec) -> list[Sighting]:
        return look(View((spec,), self._preprocessing, evaluate=True), self._labelled.pictures)

    def _scored(self, seen: list[Sighting]) -> Accuracy:
        return score(self._labelled, [each.size for each in seen], [each.evaluated[0] for each in seen])
