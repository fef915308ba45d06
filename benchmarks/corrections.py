"""What corrections of weights are worth: mAP, box agreement, signal to noise of the scores, and seconds.

Run as ``python benchmarks/corrections.py``; --help has the rest. Each model is calibrated once for each subset of the
calibration pictures, and then quantized with every correction by the steps of ``polyyolo engine``. polyyolo's
verification judges all of them in ONNX Runtime on the same labelled pictures. What was measured already is kept in the
page's JSON: an interrupted run goes on where it stopped.
"""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from statistics import mean
from tempfile import TemporaryDirectory
from typing import Any

import click
import numpy as np
from attrs import evolve, frozen
from int8_accuracy import Row, Store
from judge import Judge
from surroundings import DOCS, SHARED, publish, table

from polyyolo import stages
from polyyolo.decisions import decide
from polyyolo.images.presets import preprocessing_for
from polyyolo.images.stream import tensors
from polyyolo.models.own_size import own_size
from polyyolo.models.runtime import open_session
from polyyolo.models.spec import read_spec
from polyyolo.quantization.corrections.moments import STEP
from polyyolo.quantizing import quantize_model
from polyyolo.records import ModelSpec, Preprocessing, Request
from polyyolo.verification.gauge import Gauge, Sight
from polyyolo.verification.labelled import read_labelled
from polyyolo.workspace import Workspace

MODELS = ("yolov4-tiny-416", "yolov8n-640", "yolov5s-640")
PAGE = DOCS / "corrections.md"
HEAD = (
    "",
    "drop, points of mAP50-95",
    "agreement F1 at IoU 0.9",
    "scores' signal to noise, dB",
    "seconds",
    "subsets",
)


@frozen
class Case:
    """One way to treat weights.

    Attributes:
        name: what its row is called: the options of ``polyyolo engine``.
        asked: fields of the request.
        subsets: with how many calibration subsets at most.
    """

    name: str
    asked: Mapping[str, Any]
    subsets: int = 99


CASES = (
    Case("nothing", {}),
    Case("`--correct rounding`", {"correct": ("rounding",)}),
    Case("`--correct bias`", {"correct": ("bias",)}),
    Case("`--correct rounding --correct bias`", {"correct": ("rounding", "bias")}),
    Case("`--weights mse`", {"weights": "mse"}),
    Case("`--weights mse --correct rounding`", {"weights": "mse", "correct": ("rounding",)}),
    Case("`--weights percentile-99.9`", {"weights": "percentile-99.9"}, 1),
    Case("`--weights entropy`", {"weights": "entropy"}, 1),
)


class Scores:
    """The class scores of an FP32 model where it sees something, and how far another's are off."""

    def __init__(self, spec: ModelSpec, pictures: Sequence[Path], preprocessing: Preprocessing) -> None:
        self._gauge, self._preprocessing = Gauge(spec.head), preprocessing
        seen = [(path, self._gauge.see(outputs)) for path, outputs in self._outputs(spec, pictures)]
        self._sights: dict[Path, Sight] = {path: sight for path, sight in seen if sight is not None}

    def signal_to_noise(self, spec: ModelSpec) -> float:
        """Give the power of the scores over that of what they are off by, in dB."""
        noise = [
            self._gauge.noise(self._sights[path], outputs) * self._sights[path].power
            for path, outputs in self._outputs(spec, list(self._sights))
        ]
        return float(10 * np.log10(sum(sight.power for sight in self._sights.values()) / sum(noise)))

    def _outputs(self, spec: ModelSpec, pictures: Sequence[Path]) -> Iterator[tuple[Path, dict[str, Any]]]:
        session = open_session(spec.path)
        names = [output.name for output in session.get_outputs()]
        for path, tensor, _ in tensors(pictures, self._preprocessing):
            yield path, dict(zip(names, session.run(names, {spec.image: tensor[None]}), strict=True))


@click.command()
@click.option("--model", "models", type=Path, multiple=True, help="an ONNX; several may be given")
@click.option("--images", type=Path, default=SHARED / "data" / "coco128-train" / "images", help="to calibrate with")
@click.option("--labelled", type=Path, default=SHARED / "data" / "coco128-val", help="to measure on")
@click.option("--count", default=64, show_default=True, help="pictures of a calibration subset")
@click.option("--subsets", default=2, show_default=True, help="seeded calibration subsets")
@click.option("--again", multiple=True, help="part of the names of the rows to measure anew")
@click.option("--page", type=Path, default=PAGE, help="Markdown page for the result; JSON goes beside it")
def main(  # noqa: PLR0913, PLR0917 - options of a command
    models: Sequence[Path],
    images: Path,
    labelled: Path,
    count: int,
    subsets: int,
    again: Sequence[str],
    page: Path,
) -> None:
    """Measure every case on every model, and write the page."""
    wanted = models or [SHARED / "models" / f"{name}.onnx" for name in MODELS]
    store = Store(page.with_suffix(".json"), again, [model.stem for model in wanted])
    for model in wanted:
        missing = store.missing(model.stem, CASES, subsets)
        if not missing:
            continue
        bench = Bench(model, labelled)
        with TemporaryDirectory() as folder:
            for case, seed in missing:
                asked = Request(
                    str(model),
                    images,
                    toolchain="none",
                    count=count,
                    seed=seed,
                    keep_float=("none",),
                    output=Path(folder) / str(seed),
                )
                row = bench.measure(evolve(asked, **case.asked))
                store.add(model.stem, case, seed, row)
                click.echo(f"{model.stem}, {case.name}, subset {seed}: {row}")
    publish(page, _told(store))


class Bench:
    """A model, and how quantized ones compare with it."""

    def __init__(self, model: Path, labelled: Path) -> None:
        spec = read_spec(model)
        height, width = own_size(spec)
        pictures = read_labelled(labelled, spec.names, classes=spec.head.classes).pictures
        self._judge = Judge(model, labelled)
        self._scores = Scores(spec, pictures, preprocessing_for(spec, (height, width)))

    def measure(self, request: Request) -> Row:
        """Do what ``polyyolo engine`` does until there is an INT8 model; what was calibrated before is reused."""
        decisions = decide(request)
        with Workspace.open(decisions.folder) as space:
            made = quantize_model(space, decisions, stages.prepare(space, decisions))
            seconds = sum(space.steps[name].seconds for name in (STEP, "quantize") if name in space.steps)
            snr_db = self._scores.signal_to_noise(made.spec)
            return {"seconds": seconds, "snr_db": snr_db, **self._judge.judge(made.spec.path)}


def _told(store: Store) -> str:
    commits = dict.fromkeys(row["commit"] for row in store.rows)
    models = dict.fromkeys(row["model"] for row in store.rows)
    notes = "; ".join([*store.notes, f"polyyolo at {', '.join(commits)}"])
    return "\n\n".join([notes, *(_table(model, store.rows) for model in models)])


def _table(model: str, rows: Sequence[Row]) -> str:
    lines = []
    for case in CASES:
        found = [row for row in rows if (row["model"], row["name"]) == (model, case.name)]
        if found:
            lines.append([case.name, *_figures(found)])
    return f"### {model}\n\n" + table(HEAD, lines)


def _figures(rows: Sequence[Row]) -> list[str]:
    return [
        ", ".join(f"{row['drop']:.2f}" for row in rows),
        ", ".join(f"{row['f1']:.3f}" for row in rows),
        f"{mean(row['snr_db'] for row in rows):.2f}",
        f"{min(row['seconds'] for row in rows):.0f}",
        str(len(rows)),
    ]


if __name__ == "__main__":
    main()
