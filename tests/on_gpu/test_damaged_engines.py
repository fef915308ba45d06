"""Engines that were cut, damaged, made elsewhere, or have something in front: one clear error, whoever reads them."""

import json
import random

import pytest

from polyyolo.engines.programs import find_trtexec

pytestmark = pytest.mark.gpu

DAMAGED = {
    "empty": lambda _: b"",
    "one byte": lambda whole: whole[:1],
    "24 bytes": lambda whole: whole[:24],
    "a header alone": lambda whole: whole[:64],
    "half": lambda whole: whole[: len(whole) // 2],
    "all but one byte": lambda whole: whole[:-1],
    "garbage": lambda _: random.Random(0).randbytes(4096),
    "garbage behind a header": lambda whole: whole[:32] + random.Random(0).randbytes(4096),
}
FOREIGN = {"10.3.0.26": (10, 3, 0, 26), "8.6.1.6": (8, 6, 1, 6)}
QUICK = ("--warm-up", 0, "--duration", 0.1, "--no-end-to-end")


def told(done):
    """Give all that each command printed."""
    return "".join(f"\n{name}: {each}" for name, each in done.items())


@pytest.fixture(scope="module")
def readings(builds, jobs, little, tmp_path_factory):
    """Let every command that reads engines read each of these, all at the same time: engine, command -> its job."""
    whole, started = builds.engine("static").read_bytes(), {}
    changed = {name: damage(whole) for name, damage in DAMAGED.items()}
    changed |= {name: whole[:24] + bytes(version) + whole[28:] for name, version in FOREIGN.items()}
    pictures = ("--images", little.pictures, "--against", little.static, "--model", little.static)
    for name, content in changed.items():
        folder = tmp_path_factory.mktemp("engine")
        path = folder / "e.plan"
        path.write_bytes(content)
        words = {
            "bench by trtexec": ("bench", path, "--program", "trtexec", *QUICK),
            "bench by Python": ("bench", path, "--program", "python", *QUICK),
            "inspect engine": ("inspect", "engine", path),
            "inspect layers": ("inspect", "layers", path),
            "verify": ("verify", path, *pictures, "--quiet", "-o", folder / "verified"),
            "detect": ("detect", path, little.pictures, "--model", little.static, "-o", folder / "detected"),
        }
        started[name] = path, {command: jobs.polyyolo(*each) for command, each in words.items()}
    return started


@pytest.mark.usefixtures("bindings")
@pytest.mark.parametrize("damage", DAMAGED)
def test_a_damaged_engine_is_one_clear_error_of_every_command(readings, damage):
    path, started = readings[damage]
    done = {name: job.done() for name, job in started.items()}

    assert {name: each.status for name, each in done.items()} == dict.fromkeys(done, 2), told(done)
    assert [name for name, each in done.items() if not each.is_one_clear_error] == [], told(done)
    assert [name for name, each in done.items() if str(path) not in each.errors[0]] == [], told(done)


@pytest.mark.usefixtures("bindings")
@pytest.mark.parametrize("built", FOREIGN)
def test_an_engine_of_another_tensorrt_is_refused_with_both_versions_before_anything_loads_it(readings, built):
    """Bytes 24 to 27 of a plan are the version of the TensorRT that built it."""
    path, started = readings[built]
    done, here = {name: job.done() for name, job in started.items()}, find_trtexec().version

    said = f"error: {path} was built with TensorRT {built}, and {here} is here: engines do not move between versions"
    assert {name: each.errors[0] for name, each in done.items()} == dict.fromkeys(done, said), told(done)
    assert {name: each.status for name, each in done.items()} == dict.fromkeys(done, 3)
    assert [name for name, each in done.items() if "rebuild it here: polyyolo build MODEL.onnx" not in each.err] == []
    assert not list(path.parent.glob("*.log"))


@pytest.mark.usefixtures("bindings")
def test_an_engine_with_ultralytics_header_is_shown_stripped_and_measured(builds, jobs, measuring, tmp_path):
    whole, path, bare = builds.engine("static").read_bytes(), tmp_path / "e.engine", tmp_path / "bare.plan"
    metadata = {"description": "Ultralytics YOLOv8n", "task": "detect", "imgsz": [64, 64]}
    header = json.dumps(metadata).encode()
    path.write_bytes(len(header).to_bytes(4, "little", signed=True) + header + whole)

    shown = jobs.run("inspect", "engine", path, "--strip", bare, "--json")
    measured = [
        jobs.polyyolo("bench", each, "--program", measuring, *QUICK, "--json", "-o", tmp_path / f"{each.stem}.json")
        for each in (path, bare)
    ]

    assert shown.status == 0, str(shown)
    seen = json.loads(shown.out)
    assert (seen["metadata"], seen["offset"], bare.read_bytes()) == (metadata, 4 + len(header), whole)
    for job in measured:
        done = job.done()
        assert done.status == 0, str(done)
        [benchmark] = json.loads(done.out)["benchmarks"]
        assert 0.001 < benchmark["gpu_compute"]["median_ms"] < 10
