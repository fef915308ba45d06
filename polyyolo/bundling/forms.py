"""The forms of one INT8 model that the generations of TensorRT need: typed by the builder, by the graph, by a cache."""

import shutil
from pathlib import Path
from shlex import quote

from attrs import evolve, frozen

from polyyolo.calibration.cache_manifest import beside, float_layers_of
from polyyolo.calibration.exchange import read_table
from polyyolo.decisions import CACHE
from polyyolo.engines.job import Typing
from polyyolo.errors import InputError
from polyyolo.models.half import Half, read_half
from polyyolo.models.spec import read_spec
from polyyolo.quantization.cache_exchange import Header, export_cache, fitted
from polyyolo.quantization.quantize import cast_to_half
from polyyolo.quantizing import INT8, TABLE
from polyyolo.records import ModelSpec, Precision, Route, Run
from polyyolo.reports.reading import float_of, read_run
from polyyolo.stages import HALF, PREPARED
from polyyolo.workspace import unchanged

ANY_READER = "10.0"
"""A cache is packed for this release; ``build.sh`` writes the number of the trtexec there into its first line."""


@frozen
class Form:
    """One ONNX of a bundle, and what of it is FP16."""

    spec: ModelSpec
    half: Half


@frozen
class Forms:
    """What the generations build from.

    Attributes:
        weak: Q/DQ nodes with FP32 beside them.
        strong: Q/DQ nodes, cast to FP16.
        plain: FP32 without Q/DQ nodes, for the cache; None where no cache is packed.
        cache: the calibration cache; None likewise.
        float_layers: what has scales there and stays in float all the same.
    """

    weak: Form
    strong: Form
    plain: Form | None = None
    cache: Path | None = None
    float_layers: tuple[str, ...] = ()

    @property
    def routes(self) -> tuple[Route, ...]:
        """The routes that these suffice for."""
        return (Route.QDQ, Route.CALIBRATED) if self.plain else (Route.QDQ,)

    @property
    def each(self) -> tuple[Form, ...]:
        """Every form once."""
        every = (self.weak, self.strong, *([self.plain] if self.plain else []))
        return tuple({form.spec.path: form for form in every}.values())

    def for_build(self, route: Route, typing: Typing) -> Form:
        """Give what a builder gets."""
        if route is Route.CALIBRATED and self.plain:
            return self.plain
        return self.strong if typing is Typing.STRONG else self.weak


def read_int8(folder: Path) -> Run:
    """Read an INT8 run.

    Raises:
        InputError: ``folder`` is no run, or one without INT8.
    """
    run = read_run(folder)
    if run.precision is not Precision.INT8:
        raise InputError(
            f"{folder} is a run in {run.precision.value}: a bundle is for INT8",
            fix=f"polyyolo engine {quote(str(run.source.path))} --precision int8 makes one",
        )
    return run


def gather(folder: Path, run: Run, scratch: Path, *, with_cache: bool) -> Forms:
    """Find each form in a run's folder, or make it below ``scratch``.

    Args:
        folder: of the run.
        run: what it came to.
        scratch: an empty folder.
        with_cache: add the FP32 model and a calibration cache.

    Raises:
        InputError: a file is gone or was changed since the run; the model came quantized, and has no FP32 form.
        ModelError: the model cannot be cast to FP16.
    """
    weak = _form(folder, PREPARED if run.source.quantized else INT8, run)
    strong = weak if run.source.quantized else _strong(folder, run, weak, scratch)
    if not with_cache:
        return Forms(weak, strong)
    if run.source.quantized:
        raise InputError(
            f"{run.source.path.name} came with its Q/DQ nodes, so that there is no FP32 model for a calibration cache",
            fix="leave --with-cache out, or run polyyolo engine on the model from before quantization",
        )
    plain = _form(folder, PREPARED, run)
    cache = _cache(folder, run, plain.spec, scratch)
    return Forms(weak, strong, plain, cache, float_layers_of(cache))


def _form(folder: Path, name: str, run: Run) -> Form:
    path = unchanged(folder, name)
    return Form(evolve(read_spec(path, head=run.source.head.kind), head=run.source.head), read_half(path))


def _strong(folder: Path, run: Run, weak: Form, scratch: Path) -> Form:
    if (folder / HALF).is_file():
        return _form(folder, HALF, run)
    made = cast_to_half(weak.spec, scratch / HALF)
    return Form(made, read_half(made.path))


def _cache(folder: Path, run: Run, plain: ModelSpec, scratch: Path) -> Path:
    """Take the run's own cache, or write its table as one."""
    made = scratch / CACHE
    if (folder / CACHE).is_file():
        for source, target in ((CACHE, made), (beside(Path(CACHE)).name, beside(made))):
            shutil.copyfile(unchanged(folder, source), target)
        return made
    table = read_table(unchanged(folder, TABLE))
    table, placement = fitted(table, plain, run.preprocessing.size, float_of(run))
    export_cache(table, plain, placement, made, Header(ANY_READER))
    return made
