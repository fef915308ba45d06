"""Everything that a run decides and refuses before it writes a byte: model, shapes, toolchain, pictures."""

from collections.abc import Sequence
from pathlib import Path

from attrs import evolve, frozen

from polyyolo import premises, progress
from polyyolo.benchmarking.baseline import baseline_in
from polyyolo.calibration import thresholds
from polyyolo.engines import profiles, toolchain
from polyyolo.engines.calibrators import Feed
from polyyolo.engines.plan import BuildOptions, Program, Typing, make_plan, typing_for
from polyyolo.errors import InputError
from polyyolo.images import samples
from polyyolo.images.presets import preprocessing_for
from polyyolo.models import catalogue, zoo
from polyyolo.models.half import Half
from polyyolo.models.spec import read_spec
from polyyolo.picture_sets import choose_pictures, was_held_out
from polyyolo.quantization.quantize import WAYS
from polyyolo.records import (
    Benchmark,
    BuildPlan,
    CalibrationSet,
    ModelSpec,
    Precision,
    Preprocessing,
    Profile,
    Request,
    Route,
    Toolchain,
    ToolchainKind,
)
from polyyolo.verification.labelled import Labelled, read_labelled

ENGINE, CACHE = "model.plan", "calibration.cache"
CACHE_READER = "8.6"
"""TensorRT that a calibration cache is written for where none is here; ``polyyolo cache export`` writes for others."""


@frozen
class Decisions:
    """What a run will do.

    Attributes:
        folder: where its results go.
        licence: of the model's weights, where the catalogue or the model tells; else empty.
        calibration: None where nothing is quantized here.
        labelled: pictures with labels, or None.
        held: pictures to compare on where none are labelled.
        held_out: whether what is compared on was kept out of the calibration.
        baseline: of the engine that it should be faster than; empty where none was named.
    """

    request: Request
    folder: Path
    spec: ModelSpec
    licence: str
    profile: Profile
    toolchain: Toolchain
    preprocessing: Preprocessing
    calibration: CalibrationSet | None
    labelled: Labelled | None
    held: tuple[Path, ...]
    held_out: bool
    baseline: tuple[Benchmark, ...] = ()

    @property
    def quantizes(self) -> bool:
        """Whether Q/DQ nodes are put into the model."""
        return self.request.precision is Precision.INT8 and not self.spec.quantized

    @property
    def calibrates(self) -> bool:
        """Whether the scales go into a calibration cache, and the model stays as it is."""
        return self.quantizes and self.request.route is Route.CALIBRATED

    @property
    def cache_reader(self) -> str:
        """Version of the TensorRT that a calibration cache is written for."""
        return self.toolchain.tensorrt or CACHE_READER

    @property
    def casts(self) -> bool:
        """Whether the model must be cast to FP16: types in the graph decide, and it was not quantized elsewhere."""
        wanted = self.request.precision is not Precision.FP32 and not self.spec.quantized
        return wanted and typing_for(self.toolchain, self.request.route) is Typing.STRONG

    @property
    def foretells_half(self) -> bool:
        """Whether the builder makes FP16 by itself: what that costs is then measured on a model that is cast."""
        return self.request.precision is Precision.FP16 and not self.spec.quantized and not self.casts

    def spares(self, way: str) -> bool:
        """Whether "auto", "stem" or "none" was asked for as a way to choose what stays in float."""
        return way in self.request.keep_float

    @property
    def named_float(self) -> tuple[str, ...]:
        """The nodes that are kept in float by name."""
        return tuple(name for name in self.request.keep_float if name not in WAYS)

    @property
    def compared_on(self) -> Sequence[Path]:
        """The pictures that both models will see."""
        return self.labelled.pictures if self.labelled else self.held

    def plan(
        self, built: ModelSpec, engine: Path, half: Half, cache: Path | None = None, float_layers: tuple[str, ...] = ()
    ) -> BuildPlan | None:
        """Plan the build of a prepared model; None where nothing here builds engines."""
        if self.toolchain.kind is ToolchainKind.NONE:
            return None
        feed = self.feed(cache) if cache else None
        options = evolve(
            _options(self.request), half=half, calibration_cache=cache, feed=feed, float_layers=float_layers
        )
        return make_plan(built, self.profile, self.toolchain, engine, options)

    def feed(self, cache: Path) -> Feed | None:
        """Feed TensorRT's own calibrator, which writes ``cache``, with the chosen pictures; None where it is not to."""
        chosen = self.calibration
        return _feed(self.request, chosen.preprocessing, cache, chosen.pictures, chosen.batch) if chosen else None


def decide(request: Request) -> Decisions:
    """Read and check everything that a run needs.

    Raises:
        InputError: an option, the model, the profile, the pictures or the labels cannot be used.
        ToolchainError: what is asked for cannot be built here.
    """
    if request.method != thresholds.AUTO:
        thresholds.threshold(request.method)
    spec = read_spec(zoo.locate(request.model), head=request.head)
    found = toolchain.find(request.toolchain)
    folder = request.output or Path("runs") / f"{Path(request.model).stem}-{request.precision.value}"
    premises.check(request, spec, folder, found)
    profile = profiles.load(request.profile, spec) if request.profile else profiles.default(spec)
    baseline = baseline_in(request.baseline) if request.baseline else ()
    _, size = profile.usual(spec.image)
    preprocessing = preprocessing_for(spec, size, **request.overrides)
    batch, calibrated_at = profile.usual(spec.image, -1 if request.calibrator else 0)
    calibrated = evolve(preprocessing, size=calibrated_at)
    feed = _feed(request, calibrated, folder / CACHE, request.count, batch)
    _refuse_build(request, spec, profile, found, folder, feed=feed)
    labelled = (
        read_labelled(request.labelled, spec.names, classes=spec.head.classes) if request.labelled is not None else None
    )
    calibration, held = choose_pictures(request, spec, calibrated, batch, labelled=labelled is not None)
    compared_on = labelled.pictures if labelled else held
    return Decisions(
        request=request,
        folder=folder,
        spec=evolve(spec, head=spec.head.at(preprocessing.size)),
        licence=_licence(request.model, spec),
        profile=profile,
        toolchain=found,
        preprocessing=preprocessing,
        calibration=calibration,
        labelled=labelled,
        held=held,
        held_out=was_held_out(calibration, compared_on),
        baseline=baseline,
    )


def _licence(model: str, spec: ModelSpec) -> str:
    entry = catalogue.find(model)
    return entry.licence if entry else spec.metadata.get("license", "")


def _refuse_build(  # noqa: PLR0913 - all that decides a build
    request: Request, spec: ModelSpec, profile: Profile, found: Toolchain, folder: Path, *, feed: Feed | None
) -> None:
    """Plan the build as if the model were prepared: what cannot be built is refused before it is calibrated."""
    if spec.quantized:
        progress.note(f"{spec.path.name} already holds Q/DQ nodes: it is built as it is, without calibration")
    if found.kind is ToolchainKind.NONE:
        _tell_of_no_engine(request, found)
        if request.route is Route.QDQ:
            return
        found = toolchain.named(CACHE_READER)
    if request.route is Route.CALIBRATED:
        options = evolve(_options(request), calibration_cache=folder / CACHE, feed=feed)
        make_plan(spec, profile, found, folder / ENGINE, options)
        return
    prepared = evolve(spec, quantized=spec.quantized or request.precision is Precision.INT8)
    make_plan(prepared, profile, found, folder / ENGINE, _options(request))


def _tell_of_no_engine(request: Request, found: Toolchain) -> None:
    """Note that an engine was not asked for, or warn that there will be none."""
    result, fix = {
        Route.QDQ: ("the prepared ONNX is", "pip install 'polyyolo[rtx]', or build the ONNX where TensorRT is"),
        Route.CALIBRATED: (
            "the prepared ONNX and its calibration cache are",
            "build both where TensorRT 8.5 to 10 is: polyyolo build model.onnx --cache calibration.cache",
        ),
    }[request.route]
    if request.toolchain == ToolchainKind.NONE.value:
        progress.note(f"no engine is built, as asked: {result} the result")
        return
    missing = "".join(f"; {each}" for each in found.missing)
    progress.warn(f"nothing here builds engines: {result} the result{missing}", fix)


def _feed(request: Request, preprocessing: Preprocessing, cache: Path, count: int, batch: int) -> Feed | None:
    """Feed TensorRT's own calibrator where one is asked for."""
    if request.calibrator is None:
        return None
    return Feed(
        calibrator=request.calibrator,
        images=request.images or samples.fetch(),
        preprocessing=preprocessing,
        count=count,
        batch=batch,
        cache=cache,
        seed=request.seed,
    )


def _options(request: Request) -> BuildOptions:
    if request.program not in (None, *(program.value for program in Program)):
        raise InputError(f"there is no program {request.program!r}", fix="use trtexec or polygraphy")
    return BuildOptions(
        precision=request.precision,
        route=request.route,
        program=Program(request.program) if request.program else None,
        compute_capabilities=request.compute_capabilities,
    )
