"""What a measurement was made on, and where its results go."""

import os
import platform
import subprocess
from collections.abc import Sequence
from datetime import datetime, timezone
from importlib.metadata import version
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
SHARED = Path(os.environ.get("POLYYOLO_SHARED", ROOT.parent / "shared"))
DOCS = ROOT / "docs" / "benchmarks"
LIBRARIES = ("onnxruntime", "onnx", "numpy", "opencv-python")
BEGIN, END = "<!-- measured -->", "<!-- end of what was measured -->"


def today() -> str:
    """Give the date, in UTC."""
    return f"{datetime.now(timezone.utc):%Y-%m-%d}"


def machine() -> str:
    """Describe the processor, its cores that may be used, the memory and how busy it is."""
    names = [line.split(":")[1].strip() for line in _lines("/proc/cpuinfo") if line.startswith("model name")]
    memory = int(_lines("/proc/meminfo")[0].split()[1]) / 2**20
    name = names[0] if names else platform.machine()
    return (
        f"{name}, {len(os.sched_getaffinity(0))} cores, {memory:.0f} GiB of memory, "
        f"no GPU used; load average {os.getloadavg()[0]:.1f}; Python {platform.python_version()}"
    )


def versions() -> str:
    """Name what does the work, with versions."""
    return ", ".join(f"{name} {version(name)}" for name in LIBRARIES)


def version_there(python: Path, package: str) -> str:
    """Give a package's version in another environment."""
    code = f"from importlib.metadata import version; print(version({package!r}))"
    return subprocess.run([python, "-c", code], check=True, capture_output=True, text=True).stdout.strip()


def commit() -> str:
    """Name the project's commit, with a + where the package differs from it."""
    git = ["git", "-C", str(ROOT)]
    name = subprocess.run([*git, "rev-parse", "--short", "HEAD"], check=True, capture_output=True, text=True).stdout
    changed = subprocess.run([*git, "diff", "--quiet", "HEAD", "--", "polyyolo"], check=False).returncode
    return name.strip() + "+" * bool(changed)


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Write a Markdown table."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def publish(page: Path, text: str) -> None:
    """Put text between the two marks of a page; what a person wrote around them stays."""
    before, _, rest = page.read_text(encoding="utf-8").partition(BEGIN)
    after = rest.partition(END)[2]
    page.write_text(f"{before}{BEGIN}\n{text.strip()}\n{END}{after}", encoding="utf-8")


def _lines(path: str) -> list[str]:
    return Path(path).read_text(encoding="utf-8").splitlines()
