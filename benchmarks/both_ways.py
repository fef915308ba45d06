"""Measure engines with trtexec and with TensorRT's Python API, and hold the two to 3%; needs a GPU and both.

python benchmarks/both_ways.py model.plan [more.plan ...] [--batch 1,8,32]
"""

import argparse
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from attrs import evolve, frozen

from polyyolo.benchmarking.bench import BenchRequest, bench
from polyyolo.records import Benchmark

ALLOWED = 0.03


@frozen
class Pair:
    """One engine at one shape, measured both ways."""

    trtexec: Benchmark
    python: Benchmark

    def apart(self) -> dict[str, float]:
        """Give for each figure how far Python's is from trtexec's, relative to that."""
        theirs = figures(self.trtexec)
        return {name: ours / theirs[name] - 1 for name, ours in figures(self.python).items() if name in theirs}


def figures(benchmark: Benchmark) -> dict[str, float]:
    """Give what both ways measure: medians in ms, and images/s."""
    found = {"GPU compute": benchmark.gpu_compute.median_ms, "images/s": benchmark.images_per_s}
    if benchmark.end_to_end:
        found["end to end"] = benchmark.end_to_end.median_ms
    return found


def pairs(engine: Path, batches: tuple[int, ...]) -> Iterator[Pair]:
    """Measure an engine at each batch, one way right after the other."""
    with tempfile.TemporaryDirectory() as folder:
        wanted = [BenchRequest(batches=(batch,)) for batch in batches] or [BenchRequest()]
        for asked in wanted:
            runs = (
                next(bench(engine, evolve(asked, program=each), Path(folder, "log"))) for each in ("trtexec", "python")
            )
            yield Pair(*runs)


def main() -> int:
    """Print a line for each figure; 1 where any is further apart than allowed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("engines", nargs="+", type=Path)
    parser.add_argument("--batch", default="")
    options = parser.parse_args()
    batches = tuple(int(word) for word in options.batch.split(",") if word)
    worst = 0.0
    for engine in options.engines:
        for pair in pairs(engine, batches):
            for name, apart in pair.apart().items():
                print(f"{engine} batch {pair.trtexec.batch}: {name} {apart:+.2%}")
                worst = max(worst, abs(apart))
            for each in (pair.trtexec, pair.python):
                print(
                    f"  {each.measured_by}: {each.gpu_compute.median_ms:.4f} ms, {'; '.join(each.warnings) or 'steady'}"
                )
    print(f"at most {worst:.2%} apart, {ALLOWED:.0%} allowed")
    return int(worst > ALLOWED)


if __name__ == "__main__":
    sys.exit(main())
