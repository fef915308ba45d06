"""One model built in several ways, side by side."""

from collections.abc import Mapping
from pathlib import Path

from attrs import field, frozen

from polyyolo.records.engine import Precision, Route
from polyyolo.records.proof import Outcome


@frozen
class Figures:
    """What was measured of one variant; None is what was not.

    Attributes:
        latency_ms: median of the GPU's work for one query.
        images_per_s: pictures that went through in a second.
        speed_up: times the pictures of FP32 in the same time.
        map50_95: COCO's mAP50-95, 0 to 1.
        drop_points: points (hundredths) of mAP50-95 lost against the FP32 model as it was given.
        drop_error: standard error of the drop, in points.
        agreement_f1: F1 of box agreement with the FP32 model as it was given, at IoU 0.9, 0 to 1.
    """

    engine_bytes: int | None = None
    build_seconds: float | None = None
    latency_ms: float | None = None
    images_per_s: float | None = None
    speed_up: float | None = None
    map50_95: float | None = None
    drop_points: float | None = None
    drop_error: float | None = None
    agreement_f1: float | None = None


@frozen
class Compared:
    """One variant.

    Attributes:
        name: as "int8-qdq".
        folder: of its run, with the report.
        outcome: of its verdict; None where there is no run.
        unproven: figure that was not measured -> why.
        error: why there is no run; empty where there is one.
        fix: what to do about that.
        exit_code: of that error; 0 where there is none.
    """

    name: str
    precision: Precision
    route: Route
    folder: Path
    figures: Figures = Figures()
    outcome: Outcome | None = None
    unproven: Mapping[str, str] = field(factory=dict)
    error: str = ""
    fix: str = ""
    exit_code: int = 0


@frozen
class Comparison:
    """All variants of one model.

    Attributes:
        folder: where they are, each in a folder of its own.
        model: as it was given.
        sha256: of the model.
        toolchain: what built, with its version; empty where nothing did.
        gpu: what the speed was measured on; empty where it was not.
        measured_by: what measured the speed; empty where it was not.
        pictures: how many the accuracy was measured on.
        variants: in the order in which they are shown.
    """

    folder: Path
    model: Path
    sha256: str
    toolchain: str = ""
    gpu: str = ""
    measured_by: str = ""
    pictures: int = 0
    variants: tuple[Compared, ...] = ()
