"""What calibration costs beside plain inference and other calibrators: seconds and peak memory, side by side.

Run as ``python benchmarks/calibration_speed.py [MODEL] [IMAGES]``; --help has the rest. Every contender goes through
the same pictures in a process of its own, one after the other, and all of them again in each round: what else the
machine does then burdens all alike, and the least seconds of each are those that it disturbed least.
"""

import json
import shutil
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

import click
import numpy as np
from calibrators import chosen_from
from stopwatch import Failed, ask, here
from surroundings import SHARED, commit, machine, publish, table, today, version_there, versions

from polyyolo.images.stream import batches
from polyyolo.models.spec import read_spec

Cost = Mapping[str, Any]
Contender = Callable[[], Cost]

PLAIN, OURS, MODELOPT = "ONNX Runtime inference alone", "polyyolo statistics, MSE included", "ModelOpt entropy"
ORT_OWN = ("MinMax", "Percentile", "Entropy")
FEW = 128


@click.command()
@click.argument("model", type=Path, default=SHARED / "models" / "yolov5s-640.onnx")
@click.argument("images", type=Path, default=SHARED / "data" / "coco128-train" / "images")
@click.option("--count", default=64, show_default=True, help="pictures")
@click.option("--rounds", default=3, show_default=True, help="how often each contender runs")
@click.option("--slow-rounds", default=1, show_default=True, help="how often other calibrators run")
@click.option(
    "--ort",
    multiple=True,
    type=click.Choice(ORT_OWN, case_sensitive=False),
    default=("MinMax",),
    show_default=True,
    help="ONNX Runtime's own calibrators; all but MinMax take 16 GB",
)
@click.option("--modelopt", type=Path, help="a Python that has nvidia-modelopt[onnx]")
@click.option("--many", default=1000, show_default=True, help="pictures for the memory of a long calibration; 0 skips")
@click.option("--page", type=Path, help="write the result into this Markdown page, and beside it as JSON")
def main(  # noqa: PLR0913, PLR0917 - options of a command
    model: Path,
    images: Path,
    count: int,
    rounds: int,
    slow_rounds: int,
    ort: Sequence[str],
    modelopt: Path | None,
    many: int,
    page: Path | None,
) -> None:
    """Time calibration of MODEL with pictures of IMAGES."""
    with TemporaryDirectory() as folder:
        # ModelOpt and ONNX Runtime write beside the model that they are given, ModelOpt even over it: they get a copy.
        copied = Path(shutil.copy(model, folder))
        quick = {
            name: partial(_ours, way, model, images, count) for name, way in {PLAIN: "plain", OURS: "polyyolo"}.items()
        }
        slow = {f"ONNX Runtime {way}": partial(_ours, f"ort-{way.lower()}", copied, images, count) for way in ort}
        if modelopt:
            feeds = _ready(model, images, count, Path(folder))
            slow |= {f"ModelOpt {way}": partial(_modelopt, modelopt, copied, feeds, way) for way in ("entropy", "max")}
        else:
            click.echo("ModelOpt is left out: name a Python that has it with --modelopt")
        costs = _rounds(quick | slow, slow, rounds, slow_rounds)
    long = {total: _ours("polyyolo", model, images, FEW, total) for total in (FEW, many)} if many else {}
    text = "\n\n".join(
        [
            f"{model.name}, {count} pictures; {today()}; {machine()}; {versions()}"
            f"; polyyolo at {commit()}"
            + (f"; nvidia-modelopt {version_there(modelopt, 'nvidia-modelopt')}" if modelopt else ""),
            _compared(costs),
            _ratios(costs),
            _long(long),
        ]
    )
    click.echo(text)
    if page:
        publish(page, text)
        page.with_suffix(".json").write_text(json.dumps({"costs": costs, "long": long}, indent=1) + "\n", "utf-8")


def _ours(way: str, *arguments: object) -> Cost:
    return ask(here(), "calibrators.py", way, *arguments)


def _modelopt(python: Path, model: Path, feeds: Path, method: str) -> Cost:
    output = feeds.with_name(f"{method}.onnx")
    return ask(python, "modelopt_int8.py", model, feeds, method, output, feeds.with_name("excluded.json"))


def _ready(model: Path, images: Path, count: int, folder: Path) -> Path:
    """Letterbox the pictures for an environment that has no polyyolo; that time is given to it."""
    feeds = folder / "pictures.npy"
    np.save(feeds, np.concatenate(list(batches(chosen_from(read_spec(model), images, count)))))
    feeds.with_name("excluded.json").write_text("[]", "utf-8")
    return feeds


def _rounds(
    contenders: Mapping[str, Contender], slow: Mapping[str, Contender], rounds: int, slow_rounds: int
) -> dict[str, list[Cost]]:
    """Run everything once a round; a contender that fails is told and left out."""
    costs: dict[str, list[Cost]] = {name: [] for name in contenders}
    for number in range(rounds):
        for name, contender in contenders.items():
            if name in slow and number >= slow_rounds:
                continue
            try:
                costs[name].append(contender())
            except Failed as failure:
                click.echo(f"{name}: {failure}")
                continue
            click.echo(f"round {number + 1}, {name}: {costs[name][-1]}")
    return {name: found for name, found in costs.items() if found}


def _compared(costs: Mapping[str, Sequence[Cost]]) -> str:
    """The least of all rounds, and how it stands to plain inference."""
    plain = _least(costs[PLAIN])
    rows = [
        [
            name,
            f"{_least(found):.1f}",
            f"{_least(found) / plain:.2f}",
            f"{_least(found, 'cpu_seconds'):.1f}",
            f"{max(cost['peak_mib'] for cost in found):,}",
        ]
        for name, found in costs.items()
    ]
    return table(["", "seconds (least)", "times plain inference", "CPU seconds (least)", "peak memory, MiB"], rows)


def _ratios(costs: Mapping[str, Sequence[Cost]]) -> str:
    """How far the rounds differ."""
    pairs = zip(costs[OURS], costs[PLAIN], strict=True)
    ratios = sorted(ours["seconds"] / plain["seconds"] for ours, plain in pairs)
    told = (
        f"polyyolo's statistics against plain inference, each round by itself: {ratios[0]:.2f} at best, "
        f"{median(ratios):.2f} in the middle, {ratios[-1]:.2f} at worst ({len(ratios)} rounds)."
    )
    if MODELOPT in costs:
        whole = _least(costs[MODELOPT]) / _least(costs[OURS])
        alone = min(cost["calibration_seconds"] for cost in costs[MODELOPT]) / _least(costs[OURS])
        told += (
            f" ModelOpt's entropy takes {whole:.1f} times as long as polyyolo's statistics, {alone:.1f} times with "
            "nothing but its calibration counted."
        )
    return told


def _long(long: Mapping[int, Cost]) -> str:
    return "; ".join(
        f"{total:,} pictures: {cost['peak_mib']:,} MiB at most, {cost['seconds']:.0f} s" for total, cost in long.items()
    )


def _least(costs: Sequence[Cost], figure: str = "seconds") -> float:
    return float(min(cost[figure] for cost in costs))


if __name__ == "__main__":
    main()
