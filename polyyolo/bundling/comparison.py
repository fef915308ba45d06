"""What an engine made of known pictures on another machine, against what ONNX Runtime makes of them here."""

from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
from attrs import frozen

from polyyolo.bundling.contents import RESULTS, Bundle, Reference, expected, exported, index_of
from polyyolo.engines.trtexec_outputs import Array, read_outputs
from polyyolo.errors import InputError
from polyyolo.files import refuse_endless
from polyyolo.images.letterbox import Fit
from polyyolo.records import Fidelity, Head, HeadKind
from polyyolo.verification.agreement import Pair, agreements
from polyyolo.verification.inference import DISPLAY, find
from polyyolo.verification.noise import noise, powers

Outputs = Mapping[str, Array]
AGAIN = "run bench.sh there again, and copy the folder back whole"


@frozen
class Query:
    """One query: the names of its pictures, what was expected of each output and what came."""

    pictures: tuple[str, ...]
    expected: Outputs
    got: Outputs


def compare(folder: Path, bundle: Bundle, head: Head) -> Fidelity | None:
    """Compare all queries; here "reference" is ONNX Runtime's INT8, and "candidate" is the engine.

    Args:
        folder: the bundle, with its results.
        bundle: what it says of itself.
        head: of the model.

    Returns:
        None where no pictures were packed.

    Raises:
        InputError: outputs are missing, damaged, or of other shapes.
    """
    queries = [_query(folder, reference, index_of(place)) for place, reference in enumerate(bundle.references)]
    if not queries:
        return None
    names = {name: name for name in bundle.references[0].outputs}
    found = [each for query in queries for each in powers(names, query.expected, query.got, len(query.pictures))]
    pairs = [] if head.kind is HeadKind.NONE else [pair for query in queries for pair in _pairs(query, bundle, head)]
    return Fidelity(
        pictures=sum(len(query.pictures) for query in queries),
        held_out=False,
        **noise(names, found),
        agreements=agreements(pairs, confidence=DISPLAY.confidence),
    )


def _query(folder: Path, reference: Reference, index: str) -> Query:
    known = {
        name: _raw(folder / expected(index, place), shape)
        for place, (name, shape) in enumerate(reference.outputs.items())
    }
    path = folder / RESULTS / exported(index)
    found = _exported(path)
    for name, array in known.items():
        if name not in found or found[name].shape != array.shape:
            told = found[name].shape if name in found else "nothing"
            raise InputError(f"{path} has {told} for output {name}, not {array.shape}", fix=AGAIN)
    count = len(reference.pictures)
    return Query(
        reference.pictures,
        {name: array[:count] for name, array in known.items()},
        {name: found[name][:count] for name in known},
    )


def _raw(path: Path, shape: tuple[int, ...]) -> Array:
    try:
        return np.fromfile(path, "<f4").astype(np.float32).reshape(shape)
    except (OSError, ValueError) as error:
        raise InputError(f"cannot read {path}: {error}", fix="pack the run again, or copy the bundle whole") from error


def _exported(path: Path) -> Outputs:
    try:
        refuse_endless(path)
        return read_outputs(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, LookupError, TypeError) as error:
        raise InputError(f"cannot read {path}: {error}", fix=AGAIN) from error


def _pairs(query: Query, bundle: Bundle, head: Head) -> Iterator[Pair]:
    """Find both sides' boxes in the tensor's own pixels: where a picture lies in it changes nothing about overlaps."""
    whole = Fit(source=bundle.preprocessing.size, scale=(1.0, 1.0), offset=(0, 0))
    fits = [whole] * len(query.pictures)
    head = head.at(bundle.preprocessing.size)
    sides = [find(outputs, head, fits, DISPLAY) for outputs in (query.expected, query.got)]
    for name, ours, theirs in zip(query.pictures, *sides, strict=True):
        yield Pair(Path(name), ours, theirs)
