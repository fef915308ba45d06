"""How long ``polyyolo --help`` takes: the median of ten runs, each a new process."""

import subprocess
import sys
import time
from pathlib import Path
from statistics import median

RUNS = 10
GOAL = 0.3


def main() -> None:
    """Print the median and the extremes; the first run, which fills the disk cache, does not count."""
    program = Path(sys.executable).with_name("polyyolo")
    seconds = sorted([timed(program) for _ in range(RUNS + 1)][1:])
    print(f"polyyolo --help: {median(seconds):.3f} s ({seconds[0]:.3f} to {seconds[-1]:.3f}, {RUNS} runs; goal {GOAL})")


def timed(program: Path) -> float:
    """Give the seconds from start to end of one run."""
    start = time.perf_counter()
    subprocess.run([program, "--help"], check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - start


if __name__ == "__main__":
    main()
