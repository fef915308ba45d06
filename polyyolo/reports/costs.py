"""What INT8 costs tensor by tensor, as shares that can be held against each other."""

from attrs import frozen

from polyyolo.records import Run


@frozen
class Cost:
    """What quantizing one tensor costs, as a share of what all cost together, and its share of the work; 0 to 1."""

    tensor: str
    noise: float
    work: float
    kept: bool


def costs(run: Run) -> list[Cost]:
    """Tell what each tensor costs, the most costly first."""
    noise = sum(each.noise for each in run.sensitivities) or 1
    work = sum(layer.macs for layer in run.layers) or 1
    return [
        Cost(each.tensor, each.noise / noise, each.macs / work, any(node in run.in_float for node in each.nodes))
        for each in run.sensitivities
    ]
