"""Pack a run for a machine that has trtexec and nothing else."""

import shutil
from collections.abc import Mapping
from importlib import resources
from pathlib import Path

from attrs import frozen

from polyyolo import __version__, progress
from polyyolo.bundling.archive import appearing, refuse_target, write_sums
from polyyolo.bundling.contents import (
    LIBRARY,
    MANIFEST,
    MODELS,
    PROFILE,
    README,
    SUMS,
    Bundle,
    Reference,
    expected,
    index_of,
)
from polyyolo.bundling.forms import Forms, gather, read_int8
from polyyolo.bundling.generations import rtx_line, shell_functions
from polyyolo.bundling.references import write_references
from polyyolo.engines.programs import TRTEXEC_FOLDERS
from polyyolo.files import write_json, write_text
from polyyolo.records import Route, Run

SCRIPTS = ("build.sh", "bench.sh", "check.sh")
SHARED = ("common.sh", "compare.awk")
FUNCTIONS, OUTPUTS = "generations.sh", "outputs.tsv"
PICTURES = 12
"""With fewer, there are seldom enough boxes to judge an engine by."""


FIRST_LOOK = 3
"""Queries that ``check.sh`` looks at: awk takes seconds for each."""


@frozen
class Packed:
    """A bundle that was written.

    Attributes:
        path: the folder or archive.
        size_bytes: of all that is in it, or of the archive.
        bundle: what it says of itself.
    """

    path: Path
    size_bytes: int
    bundle: Bundle


@frozen
class Wanted:
    """What to pack beside the model.

    Attributes:
        pictures: how many to check the engine with; 0 for none.
        images: where they are; None takes some of those that the run calibrated with.
        with_cache: whether the FP32 model and a calibration cache come too, for TensorRT 8.5 to 10.
    """

    pictures: int = PICTURES
    images: Path | None = None
    with_cache: bool = False


def pack(folder: Path, output: Path, wanted: Wanted | None = None) -> Packed:
    """Write the bundle of an INT8 run.

    Args:
        folder: of the run.
        output: a folder that is not there yet, or a .tar.gz.
        wanted: what else to pack.

    Raises:
        InputError: no INT8 run, a run that was changed, no pictures, or a place that is taken or inside the run.
        ModelError: the model cannot be cast, or not be run.
        ToolchainError: the disk is full.
    """
    wanted = wanted or Wanted()
    run = read_int8(folder)
    refuse_target(output, folder)
    with appearing(output) as inside:
        bundle = _filled(folder, run, wanted, inside)
    places = [output] if output.is_file() else [path for path in output.rglob("*") if path.is_file()]
    return Packed(output, sum(path.stat().st_size for path in places), bundle)


def _filled(folder: Path, run: Run, wanted: Wanted, inside: Path) -> Bundle:
    models = inside / MODELS
    models.mkdir()
    with_cache = wanted.with_cache or run.route is Route.CALIBRATED
    with progress.step("models"):
        forms = gather(folder, run, models, with_cache=with_cache)
        for form in forms.each:
            if form.spec.path.parent != models:
                shutil.copyfile(form.spec.path, models / form.spec.path.name)
    references = write_references(run, forms, wanted.pictures, wanted.images, inside)
    bundle = _described(run, forms, references)
    write_json(inside / MANIFEST, bundle)
    write_json(inside / PROFILE, run.profile)
    _write_scripts(bundle, forms, inside)
    write_sums(inside, SUMS)
    return bundle


def _described(run: Run, forms: Forms, references: tuple[Reference, ...]) -> Bundle:
    shapes = {name: shapes.opt for name, shapes in run.profile.optimizations[0].items()}
    return Bundle(
        polyyolo=__version__,
        model=run.source.path.name,
        model_sha256=run.source.sha256,
        weak=forms.weak.spec.path.name,
        strong=forms.strong.spec.path.name,
        plain=forms.plain.spec.path.name if forms.plain else "",
        weak_sha256=forms.weak.spec.sha256,
        route=run.route,
        routes=forms.routes,
        image=run.source.image,
        profile=run.profile,
        preprocessing=run.preprocessing,
        shapes=shapes,
        batch=shapes[run.source.image][0],
        references=references,
        quantization_db=run.fidelity.signal_to_noise_db if run.fidelity else {},
    )


def _write_scripts(bundle: Bundle, forms: Forms, inside: Path) -> None:
    """Write what runs there, after everything else: it knows how many files were packed, the list of sums apart."""
    for name in SCRIPTS:
        write_text(inside / name, _script(name))
    for name in SHARED:
        write_text(inside / LIBRARY / name, _script(name))
    write_text(inside / LIBRARY / OUTPUTS, _output_lines(bundle))
    write_text(inside / README, _filled_in(_script(README), _words(bundle, rtx_line(bundle, forms))))
    files = 1 + sum(path.is_file() for path in inside.rglob("*"))  # with the next
    write_text(inside / LIBRARY / FUNCTIONS, f"{shell_functions(bundle, forms)}\npacked_files={files}\n")


def _script(name: str) -> str:
    return resources.files("polyyolo.bundling").joinpath("scripts").joinpath(name).read_text(encoding="utf-8")


def _output_lines(bundle: Bundle) -> str:
    """List the first queries for ``check.sh``: reference, file, what quantizing costs in dB, and the output's name."""
    return "".join(
        f"{index_of(place)}\t{expected(index_of(place), number)}\t{_decibels(bundle, output)}\t{output}\n"
        for place, reference in enumerate(bundle.references[:FIRST_LOOK])
        for number, output in enumerate(reference.outputs)
    )


def _decibels(bundle: Bundle, output: str) -> str:
    return f"{bundle.quantization_db[output]:.1f}" if output in bundle.quantization_db else "?"


def _words(bundle: Bundle, rtx: str) -> Mapping[str, str]:
    pictures = sum(len(reference.pictures) for reference in bundle.references)
    told = {
        Route.QDQ: "scales in the model: TensorRT 8.5 to 11",
        Route.CALIBRATED: "scales in models/calibration.cache: TensorRT 8.5 to 10",
    }
    routes = [
        f"  sh build.sh {route.value}\n      {told[route]}" + (" (the usual one)" if route is bundle.route else "")
        for route in bundle.routes
    ]
    return {
        "MODEL": bundle.model,
        "POLYYOLO": bundle.polyyolo,
        "FOLDERS": "\n".join(f"  {folder}" for folder in TRTEXEC_FOLDERS),
        "QUERIES": f"{pictures} pictures" if pictures else "no pictures: none were packed",
        "ROUTES": "\n".join(routes),
        "RTX": rtx,
    }


def _filled_in(text: str, words: Mapping[str, str]) -> str:
    for name, value in words.items():
        text = text.replace(f"@{name}@", value)
    return text
