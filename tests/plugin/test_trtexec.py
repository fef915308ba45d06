"""``--yolo-trtexec``: a runner for trtexec of every release, played by a fake that runs the ONNX it built from."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import onnx
import pytest
from attrs import evolve

from polyyolo import pipeline
from polyyolo.engines.running import Ended
from polyyolo.engines.toolchain import named
from polyyolo.errors import ToolFailed
from polyyolo.plugin.trtexec_inference import Session
from polyyolo.records import Request


@pytest.fixture
def stopped(fake_trtexec, little_yolo, little_pictures, tmp_path):
    """Send a signal to ``polygraphy run`` while trtexec builds, and give the status and what is left of trtexec."""

    def stop(number):
        script = f"#!/bin/sh\necho $$ > '{tmp_path}/building'\nexec '{fake_trtexec('10.16', 'hang')}' \"$@\"\n"
        program = tmp_path / "trtexec"
        program.write_text(script)
        program.chmod(0o755)
        (tmp_path / "scratch").mkdir()
        feed = ("--yolo-images", little_pictures, "--save-engine", "kept.plan")
        argv = [Path(sys.executable).with_name("polygraphy"), "run", little_yolo, "--yolo-trtexec", *feed]
        environment = {**os.environ, "TRTEXEC": str(program), "TMPDIR": str(tmp_path / "scratch")}
        with subprocess.Popen(argv, cwd=tmp_path, env=environment, stdout=subprocess.PIPE, text=True) as child:
            built = _building(child, tmp_path / "building")
            child.send_signal(number)
            child.communicate(timeout=60)
        return child.returncode, Path("/proc", built).exists()

    return stop


def _building(child, started):
    """Wait for trtexec's second start, behind the one that asks for its version, and give its process."""
    seen = set()
    while child.poll() is None:
        seen |= {started.read_text().strip()} - {""} if started.exists() else set()
        if len(seen) > 1:
            return started.read_text().strip()
        time.sleep(0.01)
    raise AssertionError("it never built")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_trtexec_too_and_leaves_nothing(stopped, tmp_path, number):
    assert stopped(number) == (-number, False)
    assert list((tmp_path / "scratch").iterdir()) == []
    assert not list(tmp_path.glob("*kept*"))


@pytest.fixture
def by_trtexec(polygraphy_run, fake_trtexec, little_yolo, little_pictures, tmp_path):
    """Run the little model on one picture by a fake trtexec: words, release, failure and perhaps another model."""

    def run(*words, release="8.6.0", fail=None, model=little_yolo):
        noting = tmp_path / "trtexec"
        noting.write_text(
            f'#!/bin/sh\ncase "$*" in *--onnx=*) echo "$@" > \'{tmp_path}/built.txt\';; esac\n'
            f"exec '{fake_trtexec(release, fail)}' \"$@\"\n"
        )
        noting.chmod(0o755)
        feed = ("--yolo-images", little_pictures, "--yolo-count", 1)
        return polygraphy_run(model, "--yolo-trtexec", *feed, *words, TRTEXEC=noting)

    return run


@pytest.fixture
def building(tmp_path):
    """Read what trtexec was told of how to build, beside what every build is told."""

    def told():
        always = ("--onnx", "--saveEngine", "--profilingVerbosity", "--skipInference", "--buildOnly")
        return {word for word in (tmp_path / "built.txt").read_text().split() if not word.startswith(always)}

    return told


QUERY = {"startH2dMs": 0, "computeMs": 0.5, "endD2hMs": 0.75, "latencyMs": 0.75}
RELEASES = ("8.6.0", "9.3", "10.16", "11.1")


def here(folder, release):
    return evolve(named(release), trtexec=folder / "trtexec")


@pytest.mark.parametrize("release", RELEASES)
def test_trtexec_of_each_release_gives_the_numbers_of_onnx_runtime(
    polygraphy_run, fake_trtexec, little_yolo, little_pictures, release
):
    ran = polygraphy_run(
        *(little_yolo, "--onnxrt", "--yolo-trtexec", "--yolo-images", little_pictures),
        *("--yolo-count", 2, "--atol", 0, "--rtol", 0),
        TRTEXEC=fake_trtexec(release),
    )

    assert ran.status == 0, ran.text
    assert "six digits" not in ran.text


def test_trtexec_8_5_gives_six_digits_and_says_that_saturated_classes_may_swap(
    polygraphy_run, fake_trtexec, little_yolo, little_pictures
):
    """Scores of 0.9999999 and 0.9999996 both become 1: of 58 boxes one has another class."""
    ran = polygraphy_run(
        *(little_yolo, "--onnxrt", "--yolo-trtexec", "--yolo-images", little_pictures),
        *("--yolo-count", 2, "--yolo-compare"),
        TRTEXEC=fake_trtexec("8.5.3"),
    )

    assert ran.status == 0, ran.text
    assert ran.boxes == "F1 0.9828 at IoU 0.9, 0.9 wanted: 57 boxes match of 58 and 58"
    assert "trtexec 8.5.3 gives outputs with six digits" in ran.text


TF32 = "--noTF32"


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ((), {TF32}),
        (("--tf32",), set()),
        (
            (
                *("--fp16", "--builder-optimization-level", 0, "--pool-limit", "workspace:1536K", "--sparse-weights"),
                *("--precision-constraints", "obey", "--layer-precisions", "p3_conv:float16", "h3:float32"),
                *("--tactic-sources", "jit_convolutions"),
            ),
            {
                *(TF32, "--fp16", "--builderOptimizationLevel=0", "--memPoolSize=workspace:1.5", "--sparsity=enable"),
                *("--precisionConstraints=obey", "--layerPrecisions=p3_conv:fp16,h3:fp32"),
                "--tacticSources=-CUBLAS,-CUBLAS_LT,-CUDNN,-EDGE_MASK_CONVOLUTIONS,+JIT_CONVOLUTIONS",
            },
        ),
    ],
)
def test_what_polygraphy_tells_tensorrt_is_told_trtexec(by_trtexec, building, words, told):
    """Both of them build alike then: Polygraphy leaves TF32 off, trtexec on."""
    ran = by_trtexec(*words)

    assert ran.status == 0, ran.text
    assert building() == told
    assert "without" not in ran.text


@pytest.fixture(scope="module")
def quantized(little_yolo, little_pictures, tmp_path_factory):
    """The little model with Q/DQ nodes."""
    folder = tmp_path_factory.mktemp("quantized")
    asked = Request(model=str(little_yolo), images=little_pictures, count=8, toolchain="none", output=folder)
    return pipeline.engine(asked).folder / "model.int8.onnx"


@pytest.mark.parametrize(("words", "told"), [(("--int8",), {"--int8"}), (("--int8", "--fp16"), {"--int8", "--fp16"})])
def test_float_layers_of_a_quantized_model_run_in_fp16_where_polygraphy_allows_it(
    by_trtexec, building, quantized, words, told
):
    ran = by_trtexec(*words, model=quantized)

    assert ran.status == 0, ran.text
    assert building() == {TF32} | told


def test_options_that_trtexec_has_not_are_named(by_trtexec, building):
    """Those of Polygraphy itself at once, those of a release when it is known."""
    ran = by_trtexec("--trt-outputs", "p3", "--version-compatible", "--strongly-typed", "--bf16", release="8.6.0")

    assert ran.status == 0, ran.text
    assert building() == {TF32}
    assert "--yolo-trtexec does not know --version-compatible, --trt-outputs, --strongly-typed, and goes on" in ran.text
    assert "trtexec 8.6 builds without --bf16: it has no --bf16" in ran.text


def test_an_engine_is_built_once_kept_and_loaded_again(polygraphy_run, fake_trtexec, little_dynamic, little_pictures):
    trtexec = fake_trtexec("10.16")
    pictures = ("--yolo-images", little_pictures, "--yolo-count", 4, "--input-shapes", "images:[2,3,64,64]")
    built = polygraphy_run(
        *(little_dynamic, "--yolo-trtexec", *pictures, "--save-engine", "kept.plan", "--save-outputs", "first"),
        TRTEXEC=trtexec,
    )

    loaded = polygraphy_run(
        *("kept.plan", "--yolo-trtexec", *pictures, "--load-outputs", "first", "--yolo-compare"),
        *("--yolo-model", little_dynamic, "--yolo-min-agreement", 1),
        TRTEXEC=trtexec,
    )

    assert (built.status, loaded.status) == (0, 0), built.text + loaded.text
    assert loaded.boxes.startswith("F1 1.0000")


def test_an_engine_without_its_onnx_needs_its_inputs_named(polygraphy_run, fake_trtexec, little_yolo, little_pictures):
    words = ("--yolo-trtexec", "--yolo-images", little_pictures, "--yolo-count", 1)
    trtexec = fake_trtexec("8.6.0")
    polygraphy_run(little_yolo, *words, "--save-engine", "kept.plan", TRTEXEC=trtexec)

    unnamed = polygraphy_run("kept.plan", *words, TRTEXEC=trtexec)
    named = polygraphy_run("kept.plan", *words, "--input-shapes", "images:[1,3,64,64]", TRTEXEC=trtexec)

    assert (unnamed.status, named.status) == (1, 0)
    assert "trtexec does not tell the inputs of" in unnamed.text


@pytest.mark.parametrize(
    ("words", "release", "message"),
    [
        (("--int8",), "8.6.0", "holds no Q/DQ nodes, so INT8 would have no scales (trtexec makes some up)"),
        (("--int8", "--calibration-cache", "absent.cache"), "10.16", "absent.cache is missing or empty"),
        (("--int8", "--calibration-cache", "x.cache"), "11.1", "TensorRT 11.1.0 has no INT8 calibrator"),
        (("--fp16",), "11.1", "TensorRT 11.1.0 takes types from the ONNX"),
    ],
)
def test_what_a_release_would_do_wrong_in_silence_is_refused(by_trtexec, words, release, message):
    ran = by_trtexec(*words, release=release)

    assert ran.status == 1
    assert message in ran.text
    assert "Traceback" not in ran.text


@pytest.mark.parametrize(
    ("fail", "message"),
    [
        ("no-gpu", "was killed by SIGABRT"),
        ("out-of-memory", "free memory"),
        ("killed", "was killed by SIGKILL"),
        ("segfault", "was killed by SIGSEGV although it said PASSED"),
        ("no-engine", "says that it succeeded, but the engine is missing or empty"),
        ("disk-full", "trtexec ended with status 1"),
    ],
)
def test_each_way_to_fail_is_told_as_what_it_is(by_trtexec, fail, message):
    ran = by_trtexec(fail=fail)

    assert ran.status == 1
    assert message in ran.text
    assert "Traceback" not in ran.text


def test_a_machine_without_trtexec_says_how_to_get_it(polygraphy_run, little_yolo, little_pictures):
    ran = polygraphy_run(
        little_yolo, "--yolo-trtexec", "--yolo-images", little_pictures, "--yolo-count", 1, TRTEXEC="/nowhere/trtexec"
    )

    assert ran.status == 1
    assert "/nowhere/trtexec does not start" in ran.text


@pytest.mark.parametrize(
    ("release", "said"),
    [
        ("8.5.3", ("--useSpinWait",)),
        ("8.6.0", ("--useSpinWait",)),
        ("11.1", ("--noCudaGraph", "--includeDataTransfers")),
    ],
)
def test_the_command_names_shapes_files_and_one_query_that_moves_its_data(tmp_path, release, said):
    """Names with a colon are quoted: trtexec splits at the last one otherwise."""
    commands = []

    def run(command, log):
        commands.append(command.argv)
        (tmp_path / "outputs.json").write_text(json.dumps([{"name": "y", "dimensions": "1x2", "values": [1.5, 2]}]))
        np.array([1.5, 2], np.float32).tofile(tmp_path / "y.raw")
        log.write_text("Writing file for output binding y (with datatype Float and dimensions 1.2) to y.raw")
        (tmp_path / "times.json").write_text(json.dumps([QUERY]))
        return Ended(0, ())

    feed = {"a:0": np.zeros((1, 3, 8, 8), np.float32)}
    inferred = Session(here(tmp_path, release), tmp_path / "m.plan", tmp_path, run).infer(feed)

    assert commands == [
        (
            f"{tmp_path}/trtexec",
            f"--loadEngine={tmp_path}/m.plan",
            "--shapes='a:0':1x3x8x8",
            *("--warmUp=0", "--duration=0", "--percentile=90,95,99", *said, "--iterations=1"),
            "--loadInputs='a:0':input-0.bin",
            f"--exportOutput={tmp_path}/outputs.json" if release == "8.5.3" else "--dumpRawBindingsToFile",
            f"--exportTimes={tmp_path}/times.json",
        )
    ]
    assert (tmp_path / "input-0.bin").stat().st_size == 4 * 3 * 8 * 8
    assert inferred.latency_ms == 0.75
    np.testing.assert_array_equal(inferred.outputs["y"], [[1.5, 2]])


@pytest.mark.parametrize(
    ("release", "exported"),
    [
        *(("8.5.3", json) for json in ("", "[", '[{"name": "y", "dimensions": "1x3", "values": [1, 2]}]', "[1]")),
        ("8.6.0", "nothing"),
        ("8.6.0", "Writing file for output binding y (with datatype Float and dimensions 1.3) to y.raw"),
        ("8.6.0", "Writing file for output binding y (with datatype Float and dimensions 1.2) to absent.raw"),
        ("8.6.0", "Writing file for output binding y (with datatype Float8 and dimensions 1.2) to y.raw"),
    ],
)
def test_exports_that_end_in_the_middle_are_a_failure_of_trtexec(tmp_path, release, exported):
    def run(_command, log):
        log.write_text(exported)
        (tmp_path / "outputs.json").write_text(exported)
        np.zeros(2, np.float32).tofile(tmp_path / "y.raw")
        (tmp_path / "times.json").write_text(json.dumps([QUERY]))
        return Ended(0, ("&&&& PASSED",))

    with pytest.raises(ToolFailed, match="its exports cannot be read"):
        Session(here(tmp_path, release), tmp_path / "m.plan", tmp_path, run).infer({})


def test_a_relative_trtexec_and_a_relative_engine_are_found_although_trtexec_runs_in_a_folder_of_its_own(
    polygraphy_run, fake_trtexec, little_yolo, little_pictures, tmp_path
):
    trtexec = fake_trtexec("8.6.0").relative_to(tmp_path)
    pictures = ("--yolo-images", little_pictures, "--yolo-count", 1)
    built = polygraphy_run(little_yolo, "--yolo-trtexec", *pictures, "--save-engine", "kept.plan", TRTEXEC=trtexec)

    loaded = polygraphy_run(
        *("kept.plan", "--yolo-trtexec", *pictures, "--yolo-model", little_yolo), TRTEXEC=f"./{trtexec}"
    )

    assert (built.status, loaded.status) == (0, 0), built.text + loaded.text
    assert not list(tmp_path.glob("*.raw"))


def test_an_engine_of_ultralytics_runs_without_what_stands_in_front(
    polygraphy_run, fake_trtexec, little_yolo, little_pictures, tmp_path
):
    trtexec, pictures = fake_trtexec("10.16"), ("--yolo-images", little_pictures, "--yolo-count", 1)
    polygraphy_run(little_yolo, "--yolo-trtexec", *pictures, "--save-engine", "kept.plan", TRTEXEC=trtexec)
    metadata = json.dumps({"stride": 32}).encode()
    wrapped = len(metadata).to_bytes(4, "little") + metadata + (tmp_path / "kept.plan").read_bytes()
    (tmp_path / "yolo.engine").write_bytes(wrapped)

    ran = polygraphy_run("yolo.engine", "--yolo-trtexec", *pictures, "--yolo-model", little_yolo, TRTEXEC=trtexec)

    assert ran.status == 0, ran.text
    assert (tmp_path / "yolo.engine").read_bytes() == wrapped


def test_a_scratch_folder_with_commas_and_colons_in_its_path_is_not_cut_there(
    polygraphy_run, fake_trtexec, little_yolo, little_pictures, tmp_path
):
    scratch = tmp_path / "a,b:c"
    scratch.mkdir()
    words = ("--yolo-trtexec", "--yolo-images", little_pictures, "--yolo-count", 1)

    ran = polygraphy_run(little_yolo, *words, TRTEXEC=fake_trtexec("10.16"), TMPDIR=scratch)

    assert ran.status == 0, ran.text


def test_inputs_of_another_type_than_float_go_as_they_are(
    polygraphy_run, fake_trtexec, little_yolo, little_pictures, tmp_path
):
    """A model that takes FP16: the files that trtexec loads hold two bytes a value."""
    model = onnx.load(little_yolo)
    model.graph.input[0].type.tensor_type.elem_type = onnx.TensorProto.FLOAT16
    cast = onnx.helper.make_node("Cast", ["images"], ["pixels"], to=onnx.TensorProto.FLOAT)
    next(node for node in model.graph.node if "images" in node.input).input[0] = "pixels"
    model.graph.node.insert(0, cast)
    onnx.save(model, tmp_path / "half.onnx")

    ran = polygraphy_run(
        *(tmp_path / "half.onnx", "--onnxrt", "--yolo-trtexec", "--yolo-images", little_pictures),
        *("--yolo-count", 1, "--atol", "1e-2", "--rtol", "1e-3"),
        TRTEXEC=fake_trtexec("10.16"),
    )

    assert ran.status == 0, ran.text
