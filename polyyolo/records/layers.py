"""Layers of a built engine."""

from attrs import frozen


@frozen
class EngineLayer:
    """One layer as TensorRT made it: often several nodes of the ONNX in one kernel.

    Attributes:
        kind: what it does, as TensorRT calls it: "CaskConvolution", "Reformat", "PointWise", ...
        precision: of its outputs: "INT8", "FP16", "FP32", ... ; empty where the export does not tell.
        inputs: type and layout of each input, as "Int8 NC/32HW32"; empty where the export does not tell.
        outputs: likewise.
        nodes: of the ONNX that it was made from, where the export tells.
        time_ms: median or average of a run; None where no profile was given.
        share: of the time of all layers, 0 to 1; None likewise.
        move: what it moves or converts data for, as "copy into a Concat"; empty where it computes.
        reason: why it computes in float, where others compute in INT8; else empty.
    """

    name: str
    kind: str
    precision: str
    inputs: tuple[str, ...] = ()
    outputs: tuple[str, ...] = ()
    nodes: tuple[str, ...] = ()
    time_ms: float | None = None
    share: float | None = None
    move: str = ""
    reason: str = ""
