"""Engines side by side on one GPU: how fast, how large and how accurate every precision and every route to INT8 is.

On any machine, ``python benchmarks/engines.py make FOLDER MODEL...`` makes the ONNX models and the calibration cache
as ``polyyolo engine`` does, and predicts in ONNX Runtime what INT8 keeps. On the GPU's machine, with trtexec and
TensorRT's Python package, ``python benchmarks/engines.py run FOLDER`` builds, times and verifies; what is there
already is not done again, and ``--step`` does one part of it. ``python benchmarks/engines.py gather FOLDER`` adds what
was brought back to the JSON beside the page, and ``python benchmarks/engines.py page`` writes tables and plot from
that. Every step of building and measuring is a command of polyyolo.
"""

import json
import lzma
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

import click
from attrs import evolve, frozen
from surroundings import DOCS, SHARED, publish, table

from polyyolo.calibration import cache_manifest
from polyyolo.files import sha256_of
from polyyolo.reports import figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MODELS = ("yolov5s-640", "yolov8n-640", "yolov4-tiny-416")
PAGE = DOCS / "engines.md"
ROUNDS = 3
STEPS = ("build", "time", "verify")
TIMING_CACHES = Path(__file__).with_name("timing_caches")
"""MODEL-bN.cache.xz: what builds with TensorRT 8.6.0 on an H200 learned; other releases and GPUs refuse it."""

Row = dict[str, Any]


@frozen
class Way:
    """One way from a model to an engine.

    Attributes:
        label: for people.
        source: which ONNX it is built from: given, model (prepared by polyyolo), int8, head or modelopt.
        precision: of everything that INT8 does not decide.
        cache: whose scales: ours, or TensorRT's own.
        words: for trtexec.
        predicts: the ONNX whose accuracy ONNX Runtime tells beforehand.
    """

    label: str
    source: str = "given"
    precision: str = "int8"
    cache: str = ""
    words: tuple[str, ...] = ()
    predicts: str = ""


WAYS = {
    "fp32": Way("FP32, TF32 off", precision="fp32", words=("--noTF32",), predicts="model"),
    "tf32": Way("FP32, TF32 on", precision="fp32", predicts="model"),
    "fp16": Way("FP16", precision="fp16", predicts="model"),
    "prepared": Way("FP16 of what polyyolo prepared", source="model", precision="fp16", predicts="model"),
    "implicit": Way("INT8 with TensorRT's own calibration", cache="tensorrt"),
    "modelopt": Way("INT8 by ModelOpt's Q/DQ", source="modelopt", predicts="modelopt"),
    "head": Way("INT8 by polyyolo's Q/DQ, head only in float", source="head", predicts="head"),
    "qdq": Way("INT8 by polyyolo's Q/DQ", source="int8", predicts="int8"),
    "cache": Way("INT8 by polyyolo's cache", source="model", cache="polyyolo"),
}

SOURCES: dict[str, tuple[object, ...]] = {"head": ("--keep-float", "none"), "int8": ()}
"""Q/DQ models, and what ``polyyolo engine`` is told for them; the last one's run gives the cache."""
MARKS = {
    "fp32": ("s", figure.FP32),
    "tf32": ("D", figure.FP32),
    "fp16": ("s", figure.FP16),
    "prepared": ("^", figure.FP16),
    "implicit": ("o", "#7570b3"),
    "modelopt": ("o", "#d95f02"),
    "head": ("^", figure.INT8),
    "qdq": ("o", figure.INT8),
    "cache": ("v", figure.INT8),
}
"""Marker and colour of each way in the plot."""
FLOOR = -8.0
"""Points of mAP50-95 below which an engine is drawn at the edge, with its figure."""
UNPROVEN = "UNPROVEN"
ENGINE = re.compile(rf"({'|'.join(WAYS)})-b\d+")
LEFT_OUT = ("quantiles_ms", "course_ms", "engine")
QUIET = 1.05
"""Times the fastest query that a tenth of a round's queries may take longer than; else something else used the GPU."""
FOLDERS = re.compile(r"(?<![^\s=])/\S*/")
"""What stands before the name of a file of the machine that was measured on."""


@frozen
class Cell:
    """One engine of the table."""

    folder: Path
    model: str
    way: str
    batch: int

    @property
    def name(self) -> str:
        """What its files are called."""
        return f"{self.way}-b{self.batch}"

    def path(self, name: str) -> Path:
        """Name one of the files of its model."""
        return self.folder / self.model / name

    @property
    def onnx(self) -> Path:
        """What it is built from, with the batch that it has."""
        return self.made(WAYS[self.way].source)

    def made(self, source: str) -> Path:
        """Give one of its model's ONNX files with the batch that it has, made now where it is not there yet."""
        path = self.path(f"{source}.onnx" if self.batch == 1 else f"{source}-b{self.batch}.onnx")
        if not path.exists():
            polyyolo("surgeon", "shape", self.path(f"{source}.onnx"), path, "--batch", self.batch)
        return path


@click.group(help=__doc__)
def main() -> None:
    """Give the commands a common name."""


@main.command()
@click.argument("folder", type=Path)
@click.argument("models", type=Path, nargs=-1)
@click.option("--images", type=Path, default=SHARED / "data" / "coco128-train" / "images", help="to calibrate with")
@click.option("--labelled", type=Path, default=SHARED / "data" / "coco128-val", help="to predict the accuracy on")
@click.option("--modelopt", type=Path, help="a folder with ModelOpt's NAME-modelopt.onnx of the same models")
def make(folder: Path, models: Sequence[Path], images: Path, labelled: Path, modelopt: Path | None) -> None:
    """Make what engines are built from."""
    for model in models or [SHARED / "models" / f"{name}.onnx" for name in MODELS]:
        place = folder / model.stem
        place.mkdir(parents=True, exist_ok=True)
        given = ("--images", images, "--labelled", labelled, "--toolchain", "none", "--quiet")
        for source, words in SOURCES.items():
            polyyolo("engine", model, *given, *words, "-o", place / "run", fine=(0, 1))
            shutil.copy(place / "run" / "model.int8.onnx", place / f"{source}.onnx")
        for learned in TIMING_CACHES.glob(f"{model.stem}-b*.cache.xz"):
            own = place / learned.stem.replace(model.stem, "timing")
            if not own.exists():
                own.write_bytes(lzma.decompress(learned.read_bytes()))
        shutil.copy(model, place / "given.onnx")
        shutil.copy(place / "run" / "model.onnx", place / "model.onnx")
        polyyolo("cache", "export", place / "run", "--tensorrt", "8.6", "-o", place / "polyyolo.cache")
        if modelopt:
            shutil.copy(modelopt / f"{model.stem}-modelopt.onnx", place / "modelopt.onnx")
        predicted = {}
        for source in ("model", *SOURCES, "modelopt"):
            if (place / f"{source}.onnx").exists():
                predicted[source] = _accuracy(place / f"{source}.onnx", model, labelled, place / "verified" / source)
        (place / "predicted.json").write_text(json.dumps(predicted, indent=1))


@main.command()
@click.argument("folder", type=Path)
@click.option("--model", "models", multiple=True, help="name of a model; may be repeated  [all]")
@click.option("--way", "ways", multiple=True, type=click.Choice(list(WAYS)), help="may be repeated  [all]")
@click.option("--batch", "batches", multiple=True, type=int, default=(1,), show_default=True)
@click.option("--images", type=Path, default=SHARED / "data" / "coco128-train" / "images", help="to calibrate with")
@click.option("--labelled", type=Path, default=SHARED / "data" / "coco128-val", help="to measure on")
@click.option("--word", "words", multiple=True, help="for trtexec, with every engine: --word=--avgTiming=2")
@click.option("--rounds", type=click.IntRange(1), default=ROUNDS, show_default=True, help="how often each is timed")
@click.option("--step", "steps", multiple=True, type=click.Choice(STEPS), default=STEPS)
def run(  # noqa: PLR0913, PLR0917 - options of a command
    folder: Path,
    models: Sequence[str],
    ways: Sequence[str],
    batches: Sequence[int],
    images: Path,
    labelled: Path,
    words: Sequence[str],
    rounds: int,
    steps: Sequence[str],
) -> None:
    """Build, time and verify engines on this machine's GPU, batch by batch."""
    for batch in batches:
        cells = [Cell(folder, model, way, batch) for model in models or MODELS for way in ways or WAYS]
        if "build" in steps:
            for cell in cells:
                build(cell, images, words)
        built = [cell for cell in cells if cell.path(f"{cell.name}.plan").exists()]
        if "time" in steps:
            time_in_rounds(built, rounds)
        if "verify" in steps:
            verify(built, labelled)


def build(cell: Cell, images: Path, words: Sequence[str]) -> None:
    """Build one engine, unless it is there; a failure is part of the result."""
    way, plan = WAYS[cell.way], cell.path(f"{cell.name}.plan")
    if plan.exists():
        return
    scales = ("--calib", _cache(cell, images)) if way.cache else ()
    began = time.monotonic()
    try:
        polyyolo(
            *("build", cell.onnx, "-o", plan, "--precision", way.precision, "--program", "trtexec", *scales),
            *("--timing-cache", cell.path(f"timing-b{cell.batch}.cache"), "--quiet", "--", *way.words, *words),
        )
    except subprocess.CalledProcessError as failed:
        keep(cell, {"failed": failed.stderr.strip().splitlines()[:1]})
        return
    built = {"build_s": time.monotonic() - began, "size_mb": plan.stat().st_size / 1e6, "words": [*words]}
    keep(cell, built)


def _cache(cell: Cell, images: Path) -> Path:
    """Give the scales that an engine is built with, made now where they are not there yet."""
    cache = cell.path(f"{WAYS[cell.way].cache}.cache")
    if WAYS[cell.way].cache == "polyyolo":
        return cache if cell.batch == 1 else _for_batch(cell, cache)
    if not cache.exists():
        _calibrate_there(cell, images, cache)
    return cache


def _for_batch(cell: Cell, cache: Path) -> Path:
    """Let a cache belong to its model with another batch, for which the same scales hold."""
    own = cache.with_stem(f"{cache.stem}-b{cell.batch}")
    manifest = cache_manifest.read(cache)
    assert manifest is not None
    shutil.copy(cache, own)
    cache_manifest.write(evolve(manifest, model_sha256=sha256_of(cell.onnx)), own)
    return own


def _calibrate_there(cell: Cell, images: Path, cache: Path) -> None:
    """Let TensorRT's entropy calibrator see the pictures; its cache is all that is kept."""
    plan = cell.path("calibrating.plan")
    feed = ("--calib", images, "--calibrator", "entropy2", "--quiet", "--", "--builder-optimization-level", "0")
    polyyolo("build", cell.path("given.onnx"), "-o", plan, *feed)
    shutil.move(f"{plan}.cache", cache)
    plan.unlink()


def time_in_rounds(cells: Sequence[Cell], rounds: int) -> None:
    """Time each engine once a round, so that a change of clocks meets them all."""
    for number in range(rounds):
        for cell in cells:
            _time(cell, number)


def verify(cells: Sequence[Cell], labelled: Path) -> None:
    """Measure what each engine finds, unless that is known."""
    for cell in cells:
        if "accuracy" not in kept(cell):
            try:
                _verify(cell, labelled)
            except subprocess.CalledProcessError as failed:
                keep(cell, {"failed": failed.stderr.strip().splitlines()[-3:]})


def _verify(cell: Cell, labelled: Path) -> None:
    plan = cell.path(f"{cell.name}.plan")
    found = _accuracy(plan, cell.made("given"), labelled, cell.path("verified") / cell.name, ("--model", cell.onnx))
    keep(cell, {"accuracy": found})
    cell.path(f"{cell.name}.layers.json").write_text(polyyolo("inspect", "layers", plan, "--json"))


def _time(cell: Cell, number: int) -> None:
    rounds = kept(cell).get("rounds", [])
    if len(rounds) > number:
        return
    plan, out = cell.path(f"{cell.name}.plan"), cell.path(f"{cell.name}.benchmark.json")
    copies = () if number == 0 else ("--no-end-to-end",)
    told = polyyolo("bench", plan, "--duration", 2, *copies, "-o", out, "--json")
    keep(cell, {"rounds": [*rounds, json.loads(told)["benchmarks"][0]]})


def _accuracy(model: Path, reference: Path, labelled: Path, folder: Path, more: Sequence[object] = ()) -> Row:
    told = polyyolo(
        *("verify", model, *more, "--against", reference, "--labelled", labelled, "--json", "-o", folder),
        fine=(0, 1, 5),
    )
    found = json.loads(told)
    return {
        "map50_95": found["accuracy"]["map50_95"],
        "reference_map50_95": found["reference_accuracy"]["map50_95"],
        "f1": found["agreement"]["0.9"],
    }


def polyyolo(*words: object, fine: Sequence[int] = (0,)) -> str:
    """Run one command of polyyolo and give what it printed."""
    argv = [sys.executable, "-c", "from polyyolo.cli import main; main()", *map(str, words)]
    click.echo(f"polyyolo {' '.join(argv[3:])}", err=True)
    ended = subprocess.run(argv, check=False, capture_output=True, text=True)
    if ended.returncode not in fine or (fine and not ended.stdout and "--json" in argv):
        click.echo(ended.stderr, err=True)
        raise subprocess.CalledProcessError(ended.returncode, argv, ended.stdout, ended.stderr)
    return ended.stdout


def kept(cell: Cell) -> Row:
    """Read what is known of an engine."""
    path = cell.path(f"{cell.name}.json")
    return dict(json.loads(path.read_text())) if path.exists() else {}


def keep(cell: Cell, more: Row) -> None:
    """Add to what is known of an engine."""
    cell.path(f"{cell.name}.json").write_text(json.dumps({**kept(cell), **more}, indent=1))


@main.command()
@click.argument("folder", type=Path)
@click.option("--mark", default="", help="sign behind these engines, for a host that the page tells of")
@click.option("--page", "told", type=Path, default=PAGE, help="the page; the JSON goes beside it")
def gather(folder: Path, mark: str, told: Path) -> None:
    """Add what was brought back to the page's JSON, without single queries and that machine's folders."""
    path = told.with_suffix(".json")
    found = json.loads(path.read_text("utf-8")) if path.exists() else {}
    for model in MODELS:
        new = {name: {**row, "mark": mark} for name, row in _engines(folder / model).items()}
        found[model] = dict(sorted({**found.get(model, {}), **new}.items()))
    path.write_text(json.dumps(found, indent=1) + "\n", "utf-8")


def _engines(folder: Path) -> Row:
    """Read what is known of the engines of one model, each with what was predicted of its ONNX."""
    paths = [path for path in folder.glob("*-b*.json") if ENGINE.fullmatch(path.stem)]
    foretold = json.loads((folder / "predicted.json").read_text("utf-8")) if paths else {}
    return {
        path.stem: {
            **_brief(_quiet(json.loads(path.read_text("utf-8")))),
            "predicted": foretold.get(WAYS[path.stem.partition("-b")[0]].predicts),
        }
        for path in paths
    }


def _quiet(engine: Row) -> Row:
    """Leave out the rounds in which something else used the GPU."""

    def quiet(times: Row) -> bool:
        return bool(times["p90_ms"] <= QUIET * times["min_ms"])

    return {**engine, "rounds": [each for each in engine.get("rounds", []) if quiet(each["gpu_compute"])]}


def _brief(value: Any) -> Any:  # noqa: ANN401 - any JSON
    if isinstance(value, dict):
        return {name: _brief(inner) for name, inner in value.items() if name not in LEFT_OUT}
    if isinstance(value, list):
        return [_brief(inner) for inner in value]
    return FOLDERS.sub("", value) if isinstance(value, str) else value


@main.command()
@click.option("--page", "told", type=Path, default=PAGE, help="Markdown page for the result; the plot goes beside it")
def page(told: Path) -> None:
    """Write the page's tables and its plot from its JSON."""
    found = json.loads(told.with_suffix(".json").read_text("utf-8"))
    parts = [_section(model, batch, rows) for model, rows in found.items() for batch in _batches(rows)]
    publish(told, "\n\n".join(parts))
    told.with_suffix(".svg").write_text(figure.svg((11.4, 5.4), partial(_draw, found), font_points=9), "utf-8")


def _batches(rows: Row) -> list[int]:
    return sorted({int(name.rpartition("-b")[2]) for name in rows})


def _section(model: str, batch: int, rows: Row) -> str:
    points = _points(rows, batch)
    known = {way for way in WAYS if rows.get(f"{way}-b{batch}")}
    lines = [_line(way, rows, points, batch) for way in WAYS if way in known]
    left = "; ".join(way.label for name, way in WAYS.items() if name not in known)
    head = (
        "",
        "GPU compute, ms",
        "images/s",
        "speed against FP16",
        "against implicit INT8",
        "MB",
        "mAP50-95",
        "predicted",
        "F1 with FP32",
    )
    told = f"### {model}, batch {batch}\n\n{table(head, lines)}"
    return f"{told}\n\n{UNPROVEN}: {left}." if left else told


@frozen
class Point:
    """One engine that was timed; accuracy is mAP50-95 in percent.

    Attributes:
        ms: the median over its rounds of the median GPU compute time.
        images_per_s: the median over its rounds.
        predicted: by ONNX Runtime, from the ONNX that it was built from.
    """

    ms: float
    images_per_s: float
    measured: float | None
    predicted: float | None


def _points(rows: Row, batch: int) -> dict[str, Point]:
    found = {}
    for name in WAYS:
        engine = rows.get(f"{name}-b{batch}", {})
        rounds = engine.get("rounds")
        if rounds:
            found[name] = Point(
                median(each["gpu_compute"]["median_ms"] for each in rounds),
                median(each["images_per_s"] for each in rounds),
                _percent(engine.get("accuracy")),
                _percent(engine.get("predicted")),
            )
    return found


def _percent(accuracy: Row | None) -> float | None:
    return 100 * accuracy["map50_95"] if accuracy else None


def _line(way: str, rows: Row, points: dict[str, Point], batch: int) -> list[str]:
    engine = rows.get(f"{way}-b{batch}", {})
    failed = "".join(f": {line}" for line in engine.get("failed", ())[:1])
    predicted = _percent(engine.get("predicted"))
    point, accuracy = points.get(way), engine.get("accuracy")
    return [
        f"{WAYS[way].label} {engine.get('mark', '')}".strip() + failed,
        *_speed(point, points),
        f"{engine['size_mb']:.1f}" if "size_mb" in engine else UNPROVEN,
        f"{100 * accuracy['map50_95']:.2f}" if accuracy else UNPROVEN,
        UNPROVEN if predicted is None else f"{predicted:.2f}",
        f"{accuracy['f1']:.3f}" if accuracy else UNPROVEN,
    ]


def _speed(point: Point | None, points: dict[str, Point]) -> list[str]:
    if not point:
        return [UNPROVEN] * 4
    others = [f"{points[way].ms / point.ms:.2f}x" if way in points else UNPROVEN for way in ("fp16", "implicit")]
    return [f"{point.ms:.4f}", f"{point.images_per_s:,.0f}", *others]


def _draw(found: Row, into: "Figure") -> None:
    """Plot time against the change of accuracy at batch 1, a panel for each model."""
    panels = into.subplots(1, len(found), sharey=True)
    handles = {}
    for axes, (model, rows) in zip(panels, found.items(), strict=True):
        reference = 100 * rows["fp32-b1"]["predicted"]["map50_95"]
        axes.axhline(0, color=figure.FP32, linewidth=1, linestyle="--")
        for way, point in _points(rows, 1).items():
            handles[WAYS[way].label] = _mark(axes, way, point, reference)
        axes.set_title(f"{model} (FP32: {reference:.2f})", loc="left", color=figure.INK)
        figure.dress(axes, "GPU compute time, ms (faster is to the left)", "")
        axes.margins(0.15, 0.15)
    panels[0].set_ylabel("points of mAP50-95 against FP32", color=figure.INK)
    into.legend(handles.values(), handles.keys(), loc="outside lower center", ncols=3, frameon=False)


def _mark(axes: "Axes", way: str, point: Point, reference: float) -> Any:  # noqa: ANN401 - what a legend takes
    """Draw one engine: full where its accuracy was measured, hollow where it is predicted, else a line at its time."""
    marker, colour = MARKS[way]
    up = point.predicted if point.measured is None else point.measured
    if up is None:
        return axes.axvline(point.ms, color=colour, linewidth=1.2, linestyle=":")
    full = colour if point.measured is not None else "none"
    change = up - reference
    if change < FLOOR:
        axes.annotate(f"{change:.1f}", (point.ms, FLOOR), (0, 8), textcoords="offset points", ha="center", color=colour)
    return axes.plot(point.ms, max(change, FLOOR), marker, ms=8, color=colour, markerfacecolor=full)[0]


if __name__ == "__main__":
    main()
