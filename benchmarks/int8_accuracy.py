"""What INT8 of several tools keeps of a model's accuracy: mAP, box agreement with FP32, seconds and peak memory.

Run as ``python benchmarks/int8_accuracy.py``; --help has the rest. Every tool quantizes the same models with the same
subsets of the calibration pictures, each in a process of its own, and polyyolo's verification judges all of them in
ONNX Runtime on the same labelled pictures. What was measured already is kept in the page's JSON: an interrupted run
goes on where it stopped, and ``--again polyyolo`` measures only polyyolo anew.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from statistics import mean, stdev
from tempfile import TemporaryDirectory
from typing import Any, Protocol, TypeVar

import click
import numpy as np
from attrs import frozen
from calibrators import chosen_from
from judge import Judge
from makers import head_of
from stopwatch import Failed, ask, here
from surroundings import DOCS, SHARED, commit, machine, publish, table, today, version_there, versions

from polyyolo.images.stream import batches
from polyyolo.models.spec import read_spec

MODELS = ("yolov5s-640", "yolov8n-640", "yolov4-tiny-416")
METHODS = ("mse", "max", "entropy", "percentile-99.99", "percentile-99.999", "percentile-99.9995")
MARKERS = "osv^sDoPX<>v^hd*"
PAGE = DOCS / "int8-accuracy.md"

Row = dict[str, Any]


class Listed(Protocol):
    """A row of a table that is measured on several calibration subsets."""

    @property
    def name(self) -> str:
        """What it is called there."""

    @property
    def subsets(self) -> int:
        """With how many calibration subsets at most."""


L = TypeVar("L", bound=Listed)


@frozen
class Case:
    """One way to make an INT8 model.

    Attributes:
        tool: polyyolo, ModelOpt or ONNX Runtime.
        options: what its maker takes.
        label: for people.
        subsets: with how many calibration subsets at most.
    """

    tool: str
    options: tuple[str, ...]
    label: str
    subsets: int = 99

    @property
    def name(self) -> str:
        """What its row is called."""
        return f"{self.tool}: {self.label}"


CASES = (
    Case("ModelOpt", ("max", "in"), "max", 1),
    Case("ModelOpt", ("max", "out"), "max, head in float", 1),
    Case("ModelOpt", ("entropy", "in"), "entropy", 1),
    Case("ModelOpt", ("entropy", "out"), "entropy, head in float", 3),
    Case("ONNX Runtime", ("defaults",), "quantize_static's defaults", 1),
    Case("ONNX Runtime", ("tensorrt",), "symmetric, per channel, Conv inputs", 1),
    Case("ONNX Runtime", ("tensorrt-head-out",), "symmetric, per channel, Conv inputs, head in float", 3),
    Case("polyyolo", ("mse-seen", "none"), "mse-seen, head in float"),
    Case("polyyolo", ("mse-seen", "auto"), "mse-seen, and 10% of the work by measurement"),
    Case("polyyolo", ("mse-seen", "stem"), "mse-seen, and 10% of the work nearest the image", 3),
    Case("polyyolo", ("auto", "none"), "method by measurement, head in float"),
    Case("polyyolo", ("auto", "auto"), "method by measurement, and 10% of the work by measurement"),
    *(Case("polyyolo", (method, "none"), f"{method}, head in float", 1) for method in METHODS),
)


@click.command()
@click.option("--model", "models", type=Path, multiple=True, help="an ONNX; several may be given")
@click.option("--images", type=Path, default=SHARED / "data" / "coco128-train" / "images", help="to calibrate with")
@click.option("--labelled", type=Path, default=SHARED / "data" / "coco128-val", help="to measure on")
@click.option("--count", default=64, show_default=True, help="pictures of a calibration subset")
@click.option("--subsets", default=5, show_default=True, help="seeded calibration subsets")
@click.option("--modelopt", type=Path, help="a Python that has nvidia-modelopt[onnx]; without it ModelOpt is left out")
@click.option("--again", multiple=True, help="part of the names of the rows to measure anew, as polyyolo")
@click.option("--only", multiple=True, help="part of the names of the rows to measure; others are left as they are")
@click.option("--page", type=Path, default=PAGE, help="Markdown page for the result; JSON and plot go beside it")
def main(  # noqa: PLR0913, PLR0917 - options of a command
    models: Sequence[Path],
    images: Path,
    labelled: Path,
    count: int,
    subsets: int,
    modelopt: Path | None,
    again: Sequence[str],
    only: Sequence[str],
    page: Path,
) -> None:
    """Measure every case on every model, and write the page."""
    wanted = models or [SHARED / "models" / f"{name}.onnx" for name in MODELS]
    store = Store(page.with_suffix(".json"), again, [model.stem for model in wanted])
    cases = [
        case
        for case in CASES
        if (not only or any(part in case.name for part in only)) and (modelopt or case.tool != "ModelOpt")
    ]
    if not modelopt:
        click.echo("ModelOpt is left out: name a Python that has it with --modelopt")
    for model in wanted:
        missing = store.missing(model.stem, cases, subsets)
        if missing:
            judge = Judge(model, labelled)
        for case, seed in missing:
            row = _row(case, (model, images, count, seed), judge, modelopt)
            store.add(model.stem, case, seed, row)
            click.echo(f"{model.stem}, {case.name}, subset {seed}: {row}")
    if modelopt:
        store.note("modelopt", f"nvidia-modelopt {version_there(modelopt, 'nvidia-modelopt')}")
    publish(page, store.told())
    draw(store.rows, page.with_suffix(".svg"))


def _row(case: Case, given: tuple[Path, Path, int, int], judge: Judge, modelopt: Path | None) -> Row:
    """Make one INT8 model and measure it; a tool that fails is part of the result."""
    with TemporaryDirectory() as folder:
        made = Path(folder) / "int8.onnx"
        try:
            return {**_make(case, given, made, modelopt), **judge.judge(made)}
        except Failed as failure:
            return {"failed": str(failure)}


def _make(case: Case, given: tuple[Path, Path, int, int], made: Path, modelopt: Path | None) -> Mapping[str, Any]:
    model, images, count, seed = given
    if case.tool != "ModelOpt":
        maker = case.tool.lower().replace(" ", "")
        return ask(here(), "makers.py", maker, model, images, count, seed, made, *case.options)
    assert modelopt is not None
    method, head = case.options
    spec = read_spec(model)
    feeds, excluded = made.with_suffix(".npy"), made.with_suffix(".json")
    np.save(feeds, np.concatenate(list(batches(chosen_from(spec, images, count, seed)))))
    excluded.write_text(json.dumps(head_of(model) if head == "out" else []), "utf-8")
    copied = made.with_name(model.name)  # it writes over the model that it is given
    copied.write_bytes(model.read_bytes())
    return ask(modelopt, "modelopt_int8.py", copied, feeds, method, made, excluded)


class Store:
    """The rows measured so far, kept in a file after each.

    Args:
        path: the file.
        again: part of the names of the rows to forget, beside those of tools that failed.
        models: whose rows those are.
    """

    def __init__(self, path: Path, again: Sequence[str], models: Sequence[str]) -> None:
        kept = json.loads(path.read_text("utf-8")) if path.exists() else {"rows": [], "notes": {}}
        self._path = path
        self.rows: list[Row] = [
            row
            for row in kept["rows"]
            if row["model"] not in models or not ("failed" in row or any(part in row["name"] for part in again))
        ]
        self._notes: dict[str, str] = kept["notes"]
        self._commit = commit()

    def missing(self, model: str, cases: Iterable[L], subsets: int) -> list[tuple[L, int]]:
        """Give what is still to be measured, one subset after the other, so that early figures compare."""
        done = {(row["model"], row["name"], row["seed"]) for row in self.rows}
        wanted = [(case, seed) for case in cases for seed in range(min(subsets, case.subsets))]
        ordered = sorted(wanted, key=lambda pair: pair[1])
        return [(case, seed) for case, seed in ordered if (model, case.name, seed) not in done]

    def add(self, model: str, case: Listed, seed: int, row: Mapping[str, Any]) -> None:
        """Keep one more, and what it was measured on today."""
        self._notes[today()] = f"{today()}; {machine()}; {versions()}"
        self.rows.append(
            {"model": model, "name": case.name, "seed": seed, "commit": self._commit, "date": today(), **row}
        )
        self._save()

    def note(self, subject: str, text: str) -> None:
        """Keep what it was measured with."""
        self._notes[subject] = text
        self._save()

    @property
    def notes(self) -> list[str]:
        """What is kept, but for dates of which no row is left."""
        dates = {row.get("date") for row in self.rows}
        return [text for subject, text in sorted(self._notes.items()) if subject in dates or not subject[0].isdigit()]

    def told(self) -> str:
        """Write everything as Markdown, a table for each model."""
        models = dict.fromkeys(row["model"] for row in self.rows)
        commits = dict.fromkeys(row["commit"] for row in self.rows if row["name"].startswith("polyyolo"))
        notes = [*self.notes, f"polyyolo at {', '.join(commits)}"]
        return "\n\n".join(["; ".join(notes), *(_table(model, self.rows) for model in models)])

    def _save(self) -> None:
        data = {"notes": self._notes, "rows": self.rows}
        self._path.write_text(json.dumps(data, indent=1) + "\n", "utf-8")


def _table(model: str, rows: Sequence[Row]) -> str:
    lines = []
    for case in CASES:
        found = [row for row in rows if (row["model"], row["name"]) == (model, case.name)]
        good = [row for row in found if "failed" not in row]
        if good:
            lines.append([case.name, *_figures(good)])
        elif found:
            lines.append([case.name, found[0]["failed"], *[""] * 6])
    head = ("", "mAP50-95", "drop, points", "agreement F1 at IoU 0.9", "MACs in INT8", "seconds", "MiB", "subsets")
    reference = next(row["reference_map50_95"] for row in rows if row["model"] == model and "failed" not in row)
    return f"### {model}\n\nFP32: {100 * reference:.2f}\n\n" + table(head, lines)


def _figures(rows: Sequence[Row]) -> list[str]:
    return [
        _spread([100 * row["map50_95"] for row in rows], 2),
        _spread([row["drop"] for row in rows], 2),
        _spread([row["f1"] for row in rows], 3),
        f"{mean(row['int8_share'] for row in rows):.1%}",
        f"{min(row['seconds'] for row in rows):.0f}",
        f"{max(row['peak_mib'] for row in rows):,}",
        str(len(rows)),
    ]


def _spread(values: Sequence[float], digits: int) -> str:
    """Give mean and, of several, standard deviation."""
    told = f"{mean(values):.{digits}f}"
    return f"{told} ± {stdev(values):.{digits}f}" if len(values) > 1 else told


def draw(rows: Sequence[Row], path: Path) -> None:
    """Plot the drop against the agreement, a panel for each model; every dot is one calibration subset."""
    import matplotlib as mpl  # noqa: PLC0415 - only the plot needs it

    mpl.use("svg")
    mpl.rcParams.update({"svg.hashsalt": "polyyolo", "svg.fonttype": "none"})
    from matplotlib import pyplot as plt  # noqa: PLC0415

    good = [row for row in rows if "failed" not in row]
    models = list(dict.fromkeys(row["model"] for row in good))
    figure, panels = plt.subplots(1, len(models), figsize=(4.2 * len(models), 5.4), squeeze=False)
    colours = {"ModelOpt": "#d95f02", "ONNX Runtime": "#7570b3", "polyyolo": "#1b9e77"}
    measured = {row["name"] for row in good}
    # ONNX Runtime's defaults are left out: they are so far off that nothing else could be told apart.
    shown = [case for case in CASES if case.name in measured and case.options != ("defaults",)]
    for panel, model in zip(panels[0], models, strict=True):
        for case, marker in zip(shown, MARKERS, strict=False):
            dots = [dot for dot in good if (dot["model"], dot["name"]) == (model, case.name)]
            panel.scatter(
                [dot["f1"] for dot in dots],
                [dot["drop"] for dot in dots],
                c=colours[case.tool],
                marker=marker,
                alpha=0.75,
                label=case.name,
            )
        panel.set(title=model, xlabel="box agreement with FP32 (F1 at IoU 0.9)", ylabel="points of mAP50-95 lost")
        panel.axhline(0, color="grey", linewidth=0.8)
        panel.invert_yaxis()
    handles, labels = panels[0][0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="lower center", ncols=2, fontsize=8, frameon=False)
    figure.tight_layout(rect=(0, 0.3, 1, 1))
    figure.savefig(path, metadata={"Date": None})


if __name__ == "__main__":
    main()
