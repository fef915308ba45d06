"""A real GPU with a real trtexec and TensorRT's own bindings, as a user meets them: in processes of their own.

A process that builds any engine may take more than a minute before it tries its first kernel, so that all engines are
built at the same time, once, when the first test asks for one.
"""

import importlib.metadata
import importlib.util
import os
import resource
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path

import numpy as np
import onnx
import pytest
from attrs import define, field, frozen

import polyyolo
from polyyolo.engines.gpu import first_gpu
from polyyolo.engines.programs import find_polygraphy, find_trtexec

ROOT = Path(polyyolo.__file__).resolve().parent.parent
"""Of the project: where the loader's path in polygraphy's own command begins."""
POLYYOLO = (sys.executable, "-c", "from polyyolo.cli import main\nmain()")
QUICK = {"trtexec": ("--builderOptimizationLevel=0",), "polygraphy": ("--builder-optimization-level", "0")}
"""What lets a builder try the fewest kernels."""
BATCHES = tuple(f"--{bound}Shapes=images:{batch}x3x64x64" for bound, batch in (("min", 1), ("opt", 4), ("max", 8)))
OPEN = tuple(
    word
    for bound, batch in (("min", 1), ("opt", 4), ("max", 8))
    for word in (f"--trt-{bound}-shapes", f"images:[{batch},3,64,64]")
)
SIDES = tuple(f"--{bound}Shapes=images:1x3x{side}x{side}" for bound, side in (("min", 64), ("opt", 96), ("max", 128)))
LARGEST_FILE = 64 * 2**10
"""Bytes: a log fits, the little model's engine (99 kB of weights) does not."""
PATIENCE_S = 900


@frozen
class Done:
    """How a command ended, and what it printed."""

    status: int
    out: str
    err: str

    def __str__(self) -> str:
        """Tell all of it, uncut, for a test that fails."""
        return f"\nended with status {self.status}\n{self.out}\n{self.err}"

    @property
    def errors(self) -> list[str]:
        """Lines that tell of an error, and their fixes; a traceback too."""
        starts = ("error: ", "  fix: ", "Traceback ")
        return [line for line in self.err.splitlines() if line.startswith(starts)]

    @property
    def is_one_clear_error(self) -> bool:
        """Whether there is one error, its fix and nothing like a traceback."""
        kinds = [line.split(maxsplit=1)[0] for line in self.errors]
        return kinds == ["error:", "fix:"] and "Traceback" not in self.out + self.err


@frozen
class Little:
    """The little YOLO and its pictures.

    Attributes:
        static: takes one picture.
        dynamic: takes any number.
        deployed: takes one, and ends in TensorRT's NMS plugin.
        pictures: a folder of 24.
        seen: twelve of them, with what the model finds on them as labels.
    """

    static: Path
    dynamic: Path
    deployed: Path
    pictures: Path
    seen: Path


@define
class Job:
    """A command that runs in the background; it changes when it ends."""

    process: "subprocess.Popen[bytes]"
    out: Path
    err: Path

    def done(self) -> Done:
        """Wait for its end."""
        status = self.process.wait(PATIENCE_S)
        return Done(status, *(path.read_text(encoding="utf-8", errors="replace") for path in (self.out, self.err)))


@define
class Jobs:
    """Starts commands in an environment of their own, and ends what is left of them; it keeps those that it started."""

    scratch: Path
    trtexec: Path
    all: list[Job] = field(factory=list)

    def start(
        self, *argv: object, largest_file: int | None = None, folder: Path | None = None, **environment: object
    ) -> Job:
        """Start a command; ``largest_file`` is what it may write into one file, in bytes."""
        out, err = (self.scratch / f"{len(self.all)}.{name}" for name in ("out", "err"))
        ours = ("POLYYOLO_", "FORCE_COLOR")
        inherited = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
        pythons = os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH", ""))))
        told = {"PYTHONPATH": pythons, "PYTHONUNBUFFERED": "1", "TRTEXEC": self.trtexec, "COLUMNS": "200"}
        with out.open("wb") as stdout, err.open("wb") as stderr:
            process = subprocess.Popen(
                list(map(str, argv)),
                cwd=folder or self.scratch,
                env={**inherited, **{name: str(value) for name, value in {**told, **environment}.items()}},
                stdin=subprocess.DEVNULL,
                stdout=stdout,
                stderr=stderr,
            )
        if largest_file is not None:
            resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (largest_file, largest_file))
        self.all.append(Job(process, out, err))
        return self.all[-1]

    def polyyolo(self, *words: object, **settings: object) -> Job:
        """Start polyyolo."""
        return self.start(*POLYYOLO, *words, **settings)  # type: ignore[arg-type] # settings are the options of start

    def run(self, *words: object, **settings: object) -> Done:
        """Run polyyolo to its end."""
        return self.polyyolo(*words, **settings).done()

    def end(self) -> None:
        """End what still runs; polyyolo ends its builder then."""
        running = [job.process for job in self.all if job.process.poll() is None]
        for process in running:
            process.terminate()
        for process in running:
            with suppress(subprocess.TimeoutExpired):
                process.wait(20)
            process.kill()


@frozen
class Builds:
    """Everything that is built in the background.

    Attributes:
        folder: with a folder for each build, which holds its ``e.plan``.
    """

    jobs: Jobs
    folder: Path
    started: Mapping[str, Job]

    def done(self, name: str) -> Done:
        """Wait for a build."""
        return self.started[name].done()

    def engine(self, name: str) -> Path:
        """Wait for a build that must succeed, and give its engine."""
        done = self.done(name)
        assert done.status == 0, done.out + done.err
        return self.folder / name / "e.plan"


@pytest.fixture(scope="session")
def jobs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Jobs]:
    """Start commands where a GPU and a trtexec of TensorRT 8.6 or later are."""
    gpu, found = first_gpu(), find_trtexec()
    if gpu.missing or found.path is None:
        pytest.skip(gpu.missing or found.missing)
    if tuple(map(int, found.version.split(".")[:2])) < (8, 6):
        pytest.skip(f"trtexec {found.version} has no --builderOptimizationLevel")
    folder = tmp_path_factory.mktemp("jobs")
    started = Jobs(folder, _quick(found.path, folder / "trtexec"))
    yield started
    started.end()


def _quick(real: Path, path: Path) -> Path:
    """Write a trtexec that builds with the fewest kernels tried, and in exact FP32 where FP32 is asked for."""
    # trtexec refuses an option that is told twice.
    words = (*QUICK["trtexec"], "--noTF32")
    added = "\n".join(f'case "$*" in *{word}*) ;; *--onnx=*) set -- "$@" {word};; esac' for word in words)
    path.write_text(f"#!/bin/sh\n{added}\nexec '{real}' \"$@\"\n")
    path.chmod(0o755)
    return path


@pytest.fixture(scope="session")
def bindings() -> None:
    """Skip where Python has no TensorRT to build and run engines with."""
    if importlib.util.find_spec("tensorrt") is None:
        pytest.skip("Python's tensorrt is not installed")


@pytest.fixture(params=["trtexec", "python"])
def measuring(request: pytest.FixtureRequest) -> str:
    """What measures: a word for ``polyyolo bench --program``."""
    if request.param == "python":
        request.getfixturevalue("bindings")
    return str(request.param)


@pytest.fixture(params=["trtexec", "polygraphy"])
def building(request: pytest.FixtureRequest) -> str:
    """What builds: a word for ``polyyolo build --program``."""
    if request.param == "polygraphy":
        request.getfixturevalue("bindings")
        request.getfixturevalue("polygraphy")
    return str(request.param)


@pytest.fixture(scope="session")
def polygraphy() -> str:
    """Give Polygraphy's command; skip where there is none."""
    found = find_polygraphy().path
    if found is None:
        pytest.skip("polygraphy is neither beside this Python nor on PATH")
    return str(found)


@pytest.fixture(scope="session")
def open_sides(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write a model of one convolution whose height and width are open."""
    text = """<ir_version: 8, opset_import: ["" : 17]>
    sides (float[1,3,height,width] images) => (float[1,8,height,width] output0) {
        output0 = Conv<kernel_shape = [3, 3], pads = [1, 1, 1, 1]>(images, weight)
    }"""
    model = onnx.parser.parse_model(text)
    weight = np.random.default_rng(0).normal(0, 0.2, (8, 3, 3, 3)).astype(np.float32)
    model.graph.initializer.append(onnx.numpy_helper.from_array(weight, "weight"))
    path = tmp_path_factory.mktemp("sides") / "sides.onnx"
    onnx.save(model, path)
    return path


@pytest.fixture(scope="session")
def little(
    little_yolo: Path, little_dynamic: Path, little_deployed: Path, little_pictures: Path, little_seen: Path
) -> Little:
    """Collect them."""
    return Little(little_yolo, little_dynamic, little_deployed, little_pictures, little_seen)


@pytest.fixture(scope="session")
def builds(jobs: Jobs, little: Little, open_sides: Path, tmp_path_factory: pytest.TempPathFactory) -> Builds:
    """Start every build, each into a folder of its own."""
    folder = tmp_path_factory.mktemp("builds")
    started: dict[str, Job] = {}

    def build(name: str, model: Path, *words: object, **settings: object) -> None:
        (folder / name).mkdir()
        started[name] = jobs.polyyolo("build", model, "-o", folder / name / "e.plan", *words, **settings)

    build("static", little.static)
    build("dynamic", little.dynamic, *BATCHES)
    build("deployed", little.deployed)
    build("calibrated", little.static, "--calib", little.pictures)
    for number in ("first", "second"):
        build(f"timing-{number}", little.static, "--timing-cache", folder / "timing.cache")
    build("full-trtexec", little.static, largest_file=LARGEST_FILE)
    (folder / "sides").mkdir()
    sides = (f"--onnx={open_sides}", f"--saveEngine={folder / 'sides' / 'e.plan'}", *SIDES, "--skipInference")
    started["sides"] = jobs.start(jobs.trtexec, *sides)
    route = ("--route", "calibrated", "--toolchain", "tensorrt", "--quiet")
    started["run"] = jobs.polyyolo("engine", little.static, "--images", little.pictures, *route, "-o", folder / "run")
    polygraphy = find_polygraphy().path
    if importlib.util.find_spec("tensorrt") and polygraphy:
        by_polygraphy = ("--program", "polygraphy", "--", *QUICK["polygraphy"])
        build("full-polygraphy", little.static, *by_polygraphy, largest_file=LARGEST_FILE)
        started |= _by_polygraphy(jobs, little, folder, polygraphy)
    return Builds(jobs, folder, started)


def _by_polygraphy(jobs: Jobs, little: Little, folder: Path, polygraphy: Path) -> dict[str, Job]:
    """Start the literal command for both models in the project's folder, and a comparison with the plugin's options."""
    started = {}
    for name, model, shapes in (("static", little.static, ()), ("dynamic", little.dynamic, OPEN)):
        place = folder / f"convert-{name}"
        place.mkdir()
        words = ("--int8", "--fp16", "--data-loader-script", "polyyolo/loader.py", *shapes, *QUICK["polygraphy"])
        files = ("--calibration-cache", place / "e.cache", "-o", place / "e.plan")
        started[place.name] = jobs.start(
            *(polygraphy, "convert", model, *words, *files),
            folder=ROOT,
            POLYYOLO_IMAGES=little.pictures,
            POLYYOLO_COUNT_FILE=place / "count.json",
        )
    runners = ("--onnxrt", "--trt", "--yolo-trtexec", *QUICK["polygraphy"])
    pictures = ("--yolo-images", little.pictures, "--yolo-count", 4)
    comparison = ("--yolo-compare", "--yolo-min-agreement", 0.99)
    started["plugin"] = jobs.start(polygraphy, "run", little.static, *runners, *pictures, *comparison)
    return started


@pytest.fixture(scope="session")
def plugin(polygraphy: str) -> str:
    """Give Polygraphy's command where it knows polyyolo's options."""
    group = importlib.metadata.entry_points(group="polygraphy.run.plugins")
    if not any(each.value.startswith("polyyolo") for each in group):
        pytest.skip("polyyolo is not installed as a package: Polygraphy finds no plugin of it")
    return polygraphy
