"""How long it takes to tell what each layer costs: begun at the picture for each, and begun where the layer reads.

Run as ``python benchmarks/sensitivity_speed.py RUN...``, each a folder that ``polyyolo engine`` wrote. Both ways try
one layer after the other on the same pictures, one way right behind the other, so that other work on the machine
burdens both alike.
"""

import time
from collections.abc import Sequence
from pathlib import Path

import click
from attrs import evolve
from surroundings import SHARED, commit, machine, today, versions

from polyyolo.calibration.exchange import read_table
from polyyolo.images.presets import preprocessing_for
from polyyolo.images.stream import tensors
from polyyolo.models.own_size import own_size
from polyyolo.models.spec import read_spec
from polyyolo.quantization.halfway import Halfway
from polyyolo.quantization.placement import FloatBudget
from polyyolo.quantization.quantize import placement_of
from polyyolo.quantization.sensitivity import Trial, readers_of
from polyyolo.verification.gauge import Gauge


@click.command()
@click.argument("runs", type=Path, nargs=-1, required=True)
@click.option("--images", type=Path, default=SHARED / "data" / "coco128-train" / "images", help="to measure on")
@click.option("--count", default=8, show_default=True, help="pictures on which something is seen")
def main(runs: Sequence[Path], images: Path, count: int) -> None:
    """Time both ways on the prepared model of each of RUNS."""
    click.echo(f"{today()}; {machine()}; {versions()}; polyyolo at {commit()}")
    for run in runs:
        click.echo(compared(run, sorted(images.iterdir()), count))


def compared(run: Path, pictures: Sequence[Path], count: int) -> str:
    """Try every layer both ways, and tell the seconds and how far the noises lie apart."""
    spec, table = read_spec(run / "model.onnx"), read_table(run / "calibration.json")
    height, width = own_size(spec)
    preprocessing = preprocessing_for(spec, (height, width))
    seen = (tensor[None] for _, tensor, _ in tensors(pictures, preprocessing))
    trial = begun = Trial.on(spec, Gauge(spec.head), seen, count)
    whole = placement_of(spec, preprocessing.size, FloatBudget())
    readers, halfway = readers_of(spec, whole), Halfway(trial.model)
    seconds, apart = [0.0, 0.0], 0.0
    for tensor in sorted(readers, key=halfway.place):
        alone = evolve(whole, nodes=readers[tensor], groups=((tensor,),))
        times = [time.perf_counter()]
        noises = [trial.noise(alone, table)]
        times.append(time.perf_counter())
        begun = begun.begun_at(tensor, halfway)
        noises.append(begun.noise(alone, table))
        times.append(time.perf_counter())
        seconds = [total + after - before for total, before, after in zip(seconds, times, times[1:], strict=False)]
        apart = max(apart, abs(noises[1] - noises[0]))
    return (
        f"{run}: {len(readers)} tensors, {trial.pictures} pictures: {seconds[0]:.1f} s from the picture, "
        f"{seconds[1]:.1f} s from where they are read, {seconds[0] / seconds[1]:.2f} times as fast; "
        f"noises at most {apart:.0e} apart, as power against the signal"
    )


if __name__ == "__main__":
    main()
