"""What is to be verified: an ONNX, or an engine and the ONNX that tells its head, names and preprocessing."""

from pathlib import Path
from typing import Any

from attrs import evolve, frozen

from polyyolo import progress
from polyyolo.errors import InputError, ModelError
from polyyolo.files import read_json, sha256_of
from polyyolo.images.presets import preprocessing_for
from polyyolo.models.own_size import own_size
from polyyolo.models.spec import read_spec
from polyyolo.models.zoo import locate
from polyyolo.records import Engine, HeadKind, ModelSpec, Precision, Preprocessing, Route, Run
from polyyolo.verification.engine_session import engine_of, size_taken
from polyyolo.workspace import LEDGER, REPORT, Ledger


@frozen
class Subject:
    """A model that can be run.

    Attributes:
        spec: what is known of it; its path and hash are those of the file that is run.
        is_engine: whether that is an engine; the rest of ``spec`` is then its ONNX's.
        run: of polyyolo, where it came from one whose report lies beside it.
    """

    spec: ModelSpec
    is_engine: bool = False
    run: Run | None = None

    @property
    def engine(self) -> Path | None:
        """This file where it is an engine, else the engine that its run built from it, where there is one."""
        if self.is_engine:
            return self.spec.path
        built = self._built
        return self.spec.path.with_name(built.path.name) if built else None

    @property
    def hashes(self) -> frozenset[str]:
        """Hashes of this file, and of the engine that its run built from it."""
        built = self._built
        return frozenset({self.spec.sha256, *([built.sha256] if built else [])})

    @property
    def _built(self) -> Engine | None:
        """The engine that this model of a run stands for: what it was built from, or that with the same Q/DQ.

        A model before quantization is as exact as FP32 and must not have INT8's speed beside that, even where a
        calibrated engine was built from it.
        """
        run = self.run
        if run is None:
            return None
        calibrated = (run.precision, run.route) == (Precision.INT8, Route.CALIBRATED)
        stands = self.spec.quantized or (run.built.sha256 == self.spec.sha256 and not calibrated)
        return run.engine if stands or self.is_engine else None

    def preprocessing(
        self,
        size: tuple[int, int] | None = None,
        *,
        beside: "Subject | None" = None,
        **overrides: Any,  # noqa: ANN401 - checked
    ) -> Preprocessing:
        """Choose the preprocessing: what the run that made the model used, else the preset of its family.

        Args:
            size: (height, width) in pixels; None takes the run's, else the model's own, else what an engine takes.
            beside: another model that sees the same pictures; where its run was made from this one, that run's is used.
            **overrides: any of fit, pad, colour, scale, mean, std; None keeps what was chosen.

        Raises:
            PictureError: an override or the size cannot be.
            ToolchainError: an engine has to be asked for its size, and this machine cannot load it.
            InputError: likewise, and it is damaged.
        """
        made = beside.run if beside and beside.run and beside.run.source.sha256 == self.spec.sha256 else None
        run = self.run or made
        used = run.preprocessing if run else None
        kept = {name: getattr(used, name) for name in ("fit", "pad", "colour", "scale", "mean", "std") if used}
        given = {name: value for name, value in overrides.items() if value is not None}
        return preprocessing_for(self.spec, size or (used.size if used else self._own_size()), **{**kept, **given})

    def _own_size(self) -> tuple[int, int]:
        size = own_size(self.spec)
        engine = engine_of(self.spec.path) if self.is_engine else None
        is_open = self.spec.image_input.dims[2:] != size
        return size_taken(self.spec, engine, size) if engine and is_open else size


def read_subject(
    model: str, *, onnx: str | None = None, otherwise: str | None = None, head: HeadKind | None = None
) -> Subject:
    """Read a model, or an engine and what is known of its ONNX.

    Args:
        model: a path or a name.
        onnx: for an engine, the ONNX that it was built from; None takes what the report beside it says.
        otherwise: an ONNX of the same inputs and outputs, for an engine with neither.
        head: the head's family, where the user knows better than the structure tells.

    Raises:
        ModelError: it is neither an ONNX nor an engine, or is damaged.
        InputError: nothing tells how boxes are read from an engine.
        ToolchainError: a model that was given by name cannot be fetched.
    """
    path = Path(model)
    engine = engine_of(path)
    if engine is None:
        return _onnx(model, head)
    sha256 = sha256_of(path)
    run = _run_beside(path, sha256)
    if run and not onnx:
        return Subject(evolve(run.built, path=path, sha256=sha256), is_engine=True, run=run)
    if told := onnx or otherwise:
        return Subject(evolve(read_spec(locate(told), head=head), path=path, sha256=sha256), is_engine=True, run=run)
    raise InputError(
        f"{path} is an engine, which does not tell its head, class names and preprocessing",
        fix=f"name the ONNX that it was built from with --model, or leave it in its run's folder beside {REPORT}",
    )


def tell_of_unused(onnx: str | None, *subjects: Subject) -> None:
    """Tell where an ONNX was named for an engine, and none of these is one."""
    if onnx and not any(each.is_engine for each in subjects):
        progress.note(f"--model {onnx}: without effect, since no engine was named")


def _onnx(model: str, head: HeadKind | None) -> Subject:
    path = locate(model)
    try:
        spec = read_spec(path, head=head)
    except ModelError as error:
        if path.suffix == ".onnx":
            raise
        raise ModelError(f"{error.message}; nor does it begin as engines do", fix=error.fix) from error
    return Subject(spec, run=_run_beside(path, spec.sha256))


def _run_beside(path: Path, sha256: str) -> Run | None:
    """Read the report of the run that made a file; one that cannot be read or that is another file's does not count."""
    folder = path.parent
    if not (folder / REPORT).is_file():
        return None
    try:
        run = read_json(folder / REPORT, Run)
        steps = read_json(folder / LEDGER, Ledger).steps
    except InputError as error:
        progress.warn(f"{folder / REPORT} is left aside: {error.message}", "the preset of the model's family is used")
        return None
    made = {digest for step in steps.values() for digest in step.outputs.values()}
    return run if sha256 in made else None
