"""What a model will cost that TensorRT calibrated itself: its scales as Q/DQ nodes, for ONNX Runtime to run."""

from attrs import evolve

from polyyolo import files, progress
from polyyolo.decisions import CACHE, Decisions
from polyyolo.quantization.cache_exchange import fitted, import_scales
from polyyolo.quantization.placement import FloatBudget
from polyyolo.quantization.quantize import quantize
from polyyolo.quantizing import INT8, TABLE, Quantized
from polyyolo.records import ModelSpec
from polyyolo.workspace import Workspace


def foretell(space: Workspace, decisions: Decisions, prepared: ModelSpec) -> Quantized:
    """Put the scales of the cache that TensorRT wrote around what it may run in INT8.

    The head is left in float here, where TensorRT may run it in INT8 as well: the engine loses what is told, or more.

    Raises:
        TableError: the cache cannot be read, or has no scale that fits.
        ModelError: nothing in the model could run in INT8.
    """
    cache, output = space.path(CACHE), space.path(INT8)
    imported = import_scales(cache, prepared, decisions.preprocessing)
    budget = FloatBudget()
    table, placement = fitted(imported.table, prepared, decisions.preprocessing.size, budget)
    progress.note(
        f"{decisions.folder / INT8} has the scales that TensorRT chose, and its head in float; the engine loses what "
        "that loses or more"
    )

    def make() -> ModelSpec:
        files.write_json(space.path(TABLE), table)
        return quantize(prepared, table, placement, output)

    inputs = {"model": prepared.sha256, "table": table, "placement": placement}
    made = space.step("quantize", inputs, [INT8, TABLE], make, ModelSpec)
    return Quantized(evolve(made, path=output), table, budget, placement, ())
