"""polyyolo verify: figures, checks, exit codes for CI, and every bad input as one error with a fix."""

import json
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import cv2
import numpy as np
import onnx
import pytest
from attrs import evolve
from onnx import numpy_helper

from polyyolo import files, pipeline
from polyyolo.benchmarking.keeping import Kept
from polyyolo.cli import main
from polyyolo.records import Benchmark, Latency, Request, Verification


@pytest.fixture(scope="module")
def labelled(little_seen):
    return little_seen


def changed(source, path, change):
    """Write a copy of a model with each of its large weights changed."""
    model = onnx.load(source)
    for weight in model.graph.initializer:
        values = numpy_helper.to_array(weight)
        if values.ndim == 4:
            weight.CopyFrom(numpy_helper.from_array(change(values).astype(np.float32), weight.name))
    onnx.save(model, path)
    return path


@pytest.fixture(scope="module")
def fine(little_yolo, tmp_path_factory):
    """The little model with a millionth of noise: another file that does the same."""
    return changed(little_yolo, tmp_path_factory.mktemp("fine") / "fine.onnx", lambda values: values * (1 + 1e-6))


@pytest.fixture(scope="module")
def ruined(little_yolo, tmp_path_factory):
    """The little model with half of each weight."""
    return changed(little_yolo, tmp_path_factory.mktemp("ruined") / "ruined.onnx", lambda values: values / 2)


@pytest.fixture
def verify(capsys, tmp_path):
    """Run the real command line; gives exit code, standard output and standard error."""

    def run(model, *words, output=tmp_path / "out"):
        with pytest.raises(SystemExit) as left:
            main(["verify", *map(str, (model, "--quiet", "-o", output, *words))])
        said = capsys.readouterr()
        assert "Traceback" not in said.err
        return left.value.code, said.out, said.err

    return run


@pytest.fixture
def refused(verify, tmp_path):
    """See that it is refused with one error and one fix, before anything is written; gives exit code and error."""

    def run(*words):
        left, out, err = verify(*words)
        assert out == ""
        assert [err.count(word) for word in ("error: ", "  fix: ")] == [1, 1]
        assert not (tmp_path / "out").exists()
        return left, err

    return run


def test_a_model_that_keeps_everything_passes_and_exits_with_0(verify, little_yolo, labelled, fine, tmp_path):
    left, out, _ = verify(fine, "--labelled", labelled, "--against", little_yolo, "--prove")

    assert left == 0
    assert out.startswith("PASS  fine.onnx against little.onnx on 12 pictures\n  PASS      accuracy against FP32  ")
    found = files.read_json(tmp_path / "out" / "verification.json", Verification)
    assert 0.85 < found.accuracy.map50_95 < 0.95
    assert abs(found.fidelity.drop_points) < 0.5
    assert found.fidelity.agreements[1].f1 > 0.99
    assert set(found.accuracy.per_size) == {"small"}
    assert set(found.accuracy.per_class) == {"dark", "bright"}
    assert 60 < found.fidelity.signal_to_noise_db["output0"] < 150
    for shown in found.fidelity.shown:
        assert cv2.imread(str(tmp_path / "out" / shown.file)) is not None


def test_a_model_that_lost_its_sight_fails_and_exits_with_1(verify, little_yolo, labelled, ruined):
    left, out, _ = verify(ruined, "--labelled", labelled, "--against", little_yolo)

    assert left == 1
    assert out.startswith("FAIL  ruined.onnx against little.onnx")
    assert "  FAIL      box agreement with FP32" in out


def test_a_run_is_verified_where_its_calibration_pictures_are_not(
    verify, little_yolo, little_pictures, tmp_path, monkeypatch
):
    """Its report has their paths as they were given; another folder, or another machine, has none there."""
    monkeypatch.chdir(tmp_path)
    shutil.copytree(little_pictures, "pictures")
    pipeline.engine(Request(str(little_yolo), images=Path("pictures"), toolchain="none", output=Path("run")))
    shutil.rmtree("pictures")

    _, out, _ = verify("run/model.int8.onnx", "--images", little_pictures, "--against", little_yolo, "--json")

    told = json.loads(out)
    warnings = " ".join(each["message"] for each in told["warnings"])
    assert told["pictures"] == 24
    assert "whether 20 of the 24 pictures to compare on were calibrated with cannot be told" in warnings
    assert not files.read_json(tmp_path / "out" / "verification.json", Verification).fidelity.held_out


@pytest.mark.parametrize(("words", "left"), [((), 0), (("--prove",), 5)])
def test_alone_there_is_accuracy_and_nothing_is_proven(verify, little_yolo, labelled, words, left):
    code, out, _ = verify(little_yolo, "--labelled", labelled, *words)

    assert code == left
    assert out.startswith("UNPROVEN  little.onnx on 12 pictures")
    assert "not compared with the FP32 model" in out
    assert "\n  mAP50-95         0.8" in out


def test_pictures_without_labels_give_agreement_alone(verify, little_yolo, fine, little_pictures):
    left, out, _ = verify(fine, "--images", little_pictures, "--against", little_yolo)

    assert left == 0
    assert "UNPROVEN  accuracy against FP32    no labelled pictures" in out
    assert "PASS      box agreement with FP32" in out


def test_limits_decide(verify, little_yolo, labelled, ruined):
    loose = ("--max-drop", "100", "--min-agreement", "0")
    left, out, _ = verify(ruined, "--labelled", labelled, "--against", little_yolo, *loose)

    assert (left, out.split()[0]) == (0, "PASS")
    assert "wanted: at most 100 points" in out


def test_scripts_get_json_and_nothing_else(verify, little_yolo, labelled, fine, tmp_path):
    left, out, err = verify(fine, "--labelled", labelled, "--against", little_yolo, "--json")

    told = json.loads(out)
    assert (left, err) == (0, "")
    assert (told["outcome"], told["pictures"], told["folder"]) == ("PASS", 12, str(tmp_path / "out"))
    assert [check["outcome"] for check in told["checks"]] == ["PASS", "PASS"]
    assert told["accuracy"]["per_size"] == {"small": pytest.approx(told["accuracy"]["map50_95"], abs=0.05)}
    assert told["reference_accuracy"]["map50_95"] - told["accuracy"]["map50_95"] == pytest.approx(
        told["drop_points"] / 100
    )


def test_a_picture_that_cannot_be_read_is_left_out_and_named(verify, little_yolo, labelled, tmp_path):
    source = shutil.copytree(labelled, tmp_path / "source")
    (source / "images" / "05.png").write_bytes(b"torn")

    left, out, _ = verify(little_yolo, "--labelled", source, "--json")

    told = json.loads(out)
    assert (left, told["pictures"]) == (0, 11)
    assert told["warnings"][0]["message"].startswith("1 of 12 labelled pictures cannot be used: 05.png")


def benchmark(path, engine, median_ms, **more):
    """Write a benchmark as polyyolo bench does."""
    latency = Latency(1000, median_ms, median_ms, median_ms, median_ms, median_ms, median_ms, median_ms)
    made = Benchmark(
        engine=engine,
        sha256=files.sha256_of(engine),
        shapes={"images": (1, 3, 64, 64)},
        batch=1,
        images_per_s=1000 / median_ms,
        gpu_compute=latency,
        end_to_end=None,
        gpu="H200",
        measured_by="trtexec 8.6.0",
        command=(),
        settings={},
        conditions={},
    )
    files.write_json(path, Kept((evolve(made, **more),)))
    return path


def test_speed_is_judged_from_benchmarks(verify, little_yolo, labelled, fine, tmp_path):
    """The little models play engines here: what was measured of a file is told by its hash."""
    mine = benchmark(tmp_path / "mine.json", fine, 0.5)
    base = benchmark(tmp_path / "base.json", little_yolo, 1.25)
    words = ("--labelled", labelled, "--against", little_yolo, "--benchmark", mine, "--baseline", base)

    left, out, _ = verify(fine, *words, "--max-latency-ms", "0.6", "--min-speedup", "2")
    assert left == 0
    assert "PASS      latency                  0.500 ms on H200, 1000 queries by trtexec 8.6.0" in out
    assert "PASS      speed-up                 2.50 times: 0.500 ms of 1.250 ms" in out

    left, out, _ = verify(fine, *words, "--max-latency-ms", "0.4", "--min-speedup", "3")
    assert left == 1
    assert [line.split()[0] for line in out.splitlines()[1:5]] == ["PASS", "PASS", "FAIL", "FAIL"]


def test_speed_that_was_asked_for_and_not_measured_is_unproven(verify, little_yolo, labelled, fine, tmp_path):
    base = benchmark(tmp_path / "base.json", little_yolo, 1.25)
    limits = ("--max-latency-ms", "1", "--min-speedup", "2", "--baseline", base)
    words = ("--labelled", labelled, "--against", little_yolo, *limits)
    left, out, _ = verify(fine, *words, "--prove")

    assert left == 5
    assert out.count("not measured: no benchmark of the engine") == 2


def test_a_benchmark_of_something_else_is_refused(refused, little_yolo, labelled, fine, tmp_path):
    other = benchmark(tmp_path / "other.json", fine, 0.5)
    words = (little_yolo, "--labelled", labelled, "--max-latency-ms", "1")

    left, err = refused(*words, "--benchmark", other)
    assert left == 2
    assert "fine.onnx was, which is not" in err

    left, err = refused(fine, *words[1:], "--baseline", other)
    assert left == 2
    assert "holds none but that of" in err

    (tmp_path / "other.json").write_text('{"benchmarks": []}')
    assert "holds no benchmark" in refused(*words, "--benchmark", other)[1]
    (tmp_path / "other.json").write_text("[")
    assert "cannot read" in refused(*words, "--benchmark", other)[1]


PLAN = b"ftrt" + bytes(20) + bytes((10, 16, 0, 72)) + bytes(99)
BAD = {
    "faster than nothing": (["{model}", "--labelled", "{labelled}", "--min-speedup", "2"], "faster than what"),
    "nothing to measure on": (["{model}"], "there is nothing to measure on"),
    "pictures and nothing to compare with": (["{model}", "--images", "{pictures}"], "or to compare with"),
    "no such folder": (["{model}", "--labelled", "{tmp}/gone"], "no such file or folder"),
    "an empty folder": (["{model}", "--labelled", "{tmp}/empty"], "it is empty"),
    "no labels": (["{model}", "--labelled", "{pictures}"], "has a label file"),
    "labels of other classes": (["{model}", "--labelled", "{tmp}/other"], "class 7, but the model has 2"),
    "labels of pictures that are not there": (["{model}", "--labelled", "{tmp}/coco.json"], "1 of 1 pictures"),
    "no picture that can be read": (["{model}", "--labelled", "{tmp}/torn"], "none of the 1 labelled pictures"),
    "neither ONNX nor engine": (["{tmp}/noise.bin", "--labelled", "{labelled}"], "nor does it begin as engines do"),
    "a cut engine": (["{tmp}/cut.plan", "--labelled", "{labelled}"], "too few"),
    "an engine that tells nothing": (["{tmp}/model.engine", "--labelled", "{labelled}"], "does not tell its head"),
    "against nothing": (["{model}", "--labelled", "{labelled}", "--against", "{tmp}/gone.onnx"], "no model file"),
    "against another size": (
        ["{model}", "--labelled", "{labelled}", "--against", "{tmp}/large.onnx"],
        "cannot be given the same pictures",
    ),
    "a size that the other does not take": (
        ["{tmp}/open.onnx", "--labelled", "{labelled}", "--against", "{model}", "--size", "96", "96"],
        "takes pictures of 64x64, not 96x96",
    ),
    "a size that the model does not take": (
        ["{model}", "--labelled", "{labelled}", "--size", "96", "96"],
        "height 96 was asked for, but it takes 64",
    ),
}


@pytest.fixture
def places(little_yolo, labelled, little_pictures, tmp_path):
    """What the words of a case stand for, and files that cannot be used."""
    (tmp_path / "noise.bin").write_bytes(bytes(range(256)))
    (tmp_path / "cut.plan").write_bytes(b"ftrt")
    (tmp_path / "model.engine").write_bytes(PLAN)
    (tmp_path / "empty").mkdir()
    for name, label in (("other", "7 0.5 0.5 0.1 0.1"), ("torn", "0 0.5 0.5 0.1 0.1")):
        (tmp_path / name / "images").mkdir(parents=True)
        (tmp_path / name / "labels").mkdir()
        shutil.copy(labelled / "images" / "00.png", tmp_path / name / "images" / "a.png")
        (tmp_path / name / "labels" / "a.txt").write_text(label)
    (tmp_path / "torn" / "images" / "a.png").write_bytes(b"torn")
    coco = {
        "images": [{"id": 1, "file_name": "gone.png"}],
        "annotations": [{"image_id": 1, "category_id": 1, "bbox": [1, 2, 3, 4]}],
        "categories": [{"id": 1, "name": "dark"}],
    }
    (tmp_path / "coco.json").write_text(json.dumps(coco))
    large = onnx.load(little_yolo)
    large.graph.input[0].type.tensor_type.shape.dim[2].dim_value = 96
    onnx.save(large, tmp_path / "large.onnx")
    for axis in (2, 3):
        large.graph.input[0].type.tensor_type.shape.dim[axis].dim_param = f"side{axis}"
    onnx.save(large, tmp_path / "open.onnx")
    return {"model": little_yolo, "labelled": labelled, "pictures": little_pictures, "tmp": tmp_path}


@pytest.mark.parametrize(("words", "told"), BAD.values(), ids=list(BAD))
def test_bad_input_is_one_error_with_a_fix(refused, places, words, told):
    left, err = refused(*(word.format(**places) for word in words))

    assert left == 2
    assert told in err


@pytest.mark.parametrize("output", ["{pictures}", ""], ids=["a folder of pictures", "the current folder"])
def test_results_do_not_go_among_other_files(verify, places, little_pictures, monkeypatch, output):
    monkeypatch.chdir(little_pictures)
    before = sorted(little_pictures.iterdir())

    left, _, err = verify(places["model"], "--labelled", places["labelled"], output=output.format(**places))

    assert left == 2
    assert "holds other things than a verification, as 00.png" in err
    assert sorted(little_pictures.iterdir()) == before


def test_an_engine_without_a_gpu_is_this_machines_lack(refused, little_yolo, labelled, tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    (tmp_path / "model.engine").write_bytes(PLAN)

    left, err = refused(tmp_path / "model.engine", "--labelled", labelled, "--model", little_yolo)

    assert left == 3
    assert "built by TensorRT 10.16.0.72, and engines run on a GPU: no NVIDIA GPU" in err


def test_another_head_of_the_same_classes_is_compared_by_its_boxes(verify, little_yolo, labelled, tmp_path):
    """The same scores and boxes, laid out as YOLOv5's head: raw outputs have nothing in common."""
    model = onnx.load(little_yolo)
    body = onnx.helper.make_graph([], "more", [], [onnx.helper.make_tensor_value_info("v5", 1, [1, 84, 7])])
    constants = {"cuts": np.array([4, 2]), "certain": np.ones((1, 84, 1), np.float32)}
    nodes = [
        onnx.helper.make_node("Transpose", ["output0"], ["rows"], perm=[0, 2, 1]),
        onnx.helper.make_node("Split", ["rows", "cuts"], ["places", "chances"], axis=2),
        onnx.helper.make_node("Concat", ["places", "certain", "chances"], ["v5"], axis=2),
    ]
    model.graph.node.extend(nodes)
    model.graph.initializer.extend(numpy_helper.from_array(value, name) for name, value in constants.items())
    del model.graph.output[:]
    model.graph.output.extend(body.output)
    onnx.save(model, tmp_path / "v5.onnx")

    left, out, _ = verify(tmp_path / "v5.onnx", "--head", "v5", "--labelled", labelled, "--json")
    alone = json.loads(out)["accuracy"]
    assert left == 0

    left, out, _ = verify(tmp_path / "v5.onnx", "--labelled", labelled, "--against", little_yolo, "--json")
    told = json.loads(out)
    assert left == 0
    assert told["agreement"] == {"0.5": 1, "0.9": 1}
    assert told["signal_to_noise_db"] == {}
    assert told["accuracy"] == alone


def start(model, labelled, output, prelude=""):
    code = f"import sys\n{prelude}\nfrom polyyolo.cli import main\nmain(sys.argv[1:])"
    words = ("verify", model, "--labelled", labelled, "--against", model, "--quiet", "-o", output)
    return subprocess.Popen(
        [sys.executable, "-c", code, *map(str, words)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


SLOWLY = """
import time
from polyyolo.verification.inference import Runner
real = Runner.infer
def infer(self, pictures):
    time.sleep(0.3)
    return real(self, pictures)
Runner.infer = infer
"""


def test_after_ctrl_c_a_second_run_goes_on_and_gives_the_same_to_the_bit(verify, little_yolo, labelled, tmp_path):
    verify(little_yolo, "--labelled", labelled, "--against", little_yolo, output=tmp_path / "whole")
    process = start(little_yolo, labelled, tmp_path / "out", SLOWLY)
    while finished(tmp_path / "out") < 3:
        assert process.poll() is None, process.communicate()
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=20)
    done = finished(tmp_path / "out")

    assert (process.returncode, err.strip()) == (130, "interrupted: nothing half-written was left")
    assert 3 <= done < 12
    assert not (tmp_path / "out" / "verification.json").exists()

    left, out, _ = verify(little_yolo, "--labelled", labelled, "--against", little_yolo)
    assert left == 0
    assert out.startswith("PASS")
    both = [(tmp_path / name / "verification.json").read_text() for name in ("whole", "out")]
    assert both[0] == both[1]
    assert finished(tmp_path / "out") == 12


def finished(folder: Path) -> int:
    """How many pictures a run has saved."""
    try:
        with sqlite3.connect(f"file:{folder / 'seen.sqlite'}?mode=ro", uri=True) as connection:
            return int(connection.execute("SELECT count(*) FROM sightings").fetchone()[0])
    except sqlite3.OperationalError:
        return 0


FULL = """
import resource, signal
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
import polyyolo.verifying
resource.setrlimit(resource.RLIMIT_FSIZE, (20000, 20000))
"""


def test_a_full_disk_is_one_error_with_a_fix(little_yolo, labelled, tmp_path):
    process = start(little_yolo, labelled, tmp_path / "out", FULL)
    _, err = process.communicate(timeout=60)

    assert process.returncode == 3
    assert "no space is left to write" in err
    assert "  fix: free some space, or choose another folder with -o" in err
    assert "Traceback" not in err
    assert not (tmp_path / "out" / "verification.json").exists()


@pytest.mark.gpu
def test_a_real_engine_is_verified_at_a_size_that_it_takes(verify, little_open, little_open_engine, little_pictures):
    """Its ONNX would be given 640x640, and the engine ends at 128x256."""
    words = ("--against", little_open, "--images", little_pictures, "--head", "v8", "--json")

    _, out, _ = verify(little_open_engine, *words)

    found = json.loads(out)
    warnings = " ".join(each["message"] for each in found["warnings"])
    assert "does not take 640x640: pictures become 64x128, its profile's opt" in warnings
    assert found["signal_to_noise_db"]["output0"] > 60
