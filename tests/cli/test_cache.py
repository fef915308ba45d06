"""polyyolo cache, as it is typed."""

import json
import re
import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner

from polyyolo.cli import main
from polyyolo.errors import PolyYoloError
from polyyolo.models.spec import load, read_spec


@pytest.fixture
def polyyolo():
    def run(*words):
        return CliRunner().invoke(main, ["cache", *(str(word) for word in words)])

    return run


@pytest.fixture(scope="module")
def fixture(shared):
    return shared / "fixtures/trtexec-8.6.0/yolov5s.entropy2.cache"


@pytest.fixture(scope="module")
def yolov5s(models):
    return models / "yolov5s-640.onnx"


@pytest.fixture(scope="module")
def run(little_yolo, little_pictures, tmp_path_factory):
    """A run of the calibrated route where nothing builds."""
    folder = tmp_path_factory.mktemp("runs") / "little"
    asked = ("engine", little_yolo, "--images", little_pictures, "--toolchain", "none", "--keep-float", "stem")
    done = CliRunner().invoke(main, [str(word) for word in (*asked, "--route", "calibrated", "--quiet", "-o", folder)])
    assert done.exit_code in (0, 1), done.output
    return folder


def test_show_prints_names_whole_with_scale_and_range(polyyolo, fixture):
    done = polyyolo("show", fixture)

    assert done.stdout.startswith(f"{fixture}: 261 scales by TensorRT 8.6, EntropyCalibration2\n")
    assert "(Unnamed Layer* 174) [Shuffle]_output" in done.stdout

    told = json.loads(polyyolo("show", fixture, "--json").stdout)
    assert (told["version"], len(told["scales"]), told["manifest"]) == (8600, 261, None)


def test_show_tells_what_a_cache_of_polyyolos_keeps_in_float(polyyolo, run):
    shown, told = polyyolo("show", run / "calibration.cache"), polyyolo("show", run / "calibration.cache", "--json")

    kept = json.loads(told.stdout)["manifest"]["float_layers"]
    assert kept
    assert f"kept in float besides the head: {', '.join(kept)}\n" in shown.stdout


def test_show_breaks_a_long_name_and_cuts_nothing(polyyolo, tmp_path):
    name = "/model.22/" + "cv2/" * 30 + "Conv_output_0"
    (tmp_path / "long.cache").write_text(f"TRT-8600-EntropyCalibration2\n{name}: 3bf80000\n")

    table = polyyolo("show", tmp_path / "long.cache").stdout

    assert name in "".join(line.strip("│").split("│")[0].strip() for line in table.splitlines())


def test_check_says_why_and_exits_with_1(polyyolo, fixture, models, yolov5s):
    done = polyyolo("check", fixture, "--model", yolov5s, "--tensorrt", "8.6")
    assert done.exit_code == 0
    assert done.stdout.startswith(f"{fixture}: may be used, 261 scales\n")

    done = polyyolo("check", fixture, "--model", models / "yolov8n-640.onnx")
    assert done.exit_code == 1
    assert "error: it knows 57 of the 212 tensors" in done.stdout
    assert done.stdout.startswith(f"{fixture}: must not be used, 261 scales\n")

    done = polyyolo("check", fixture, "--model", yolov5s, "--tensorrt", "10.3", "--json")
    told = json.loads(done.stdout)
    assert (done.exit_code, told["usable"], len(told["behind_head"])) == (1, False, 46)
    assert told["findings"][0]["severity"] == "error"


def test_what_could_move_the_cursor_is_not_printed(polyyolo, run, tmp_path):
    odd = tmp_path / "odd.cache"
    odd.write_text("TRT-8600-EntropyCalibration2\n\x1b]0;owned\x07\x1b[2Jx: 3c000000\n")

    for words in (
        ("show", odd),
        ("check", odd, "--model", run / "model.onnx"),
        ("diff", odd, run / "calibration.cache"),
    ):
        done = polyyolo(*words)
        assert "owned" in done.stdout
        assert "\x1b]" not in done.stdout
        assert "\x07" not in done.stdout


def test_import_warns_of_what_check_warns_of(polyyolo, run, tmp_path):
    dead = tmp_path / "dead.cache"
    dead.write_text(re.sub(r"(?m)^(stem: ).*", r"\g<1>0", (run / "calibration.cache").read_text()))
    if dead.read_text() == (run / "calibration.cache").read_text():
        pytest.fail("the run's cache has no tensor 'stem'")

    done = polyyolo("import", dead, "--model", run / "model.onnx", "-o", tmp_path / "t.json", "--json")

    assert any("a scale of 0" in warning["message"] for warning in json.loads(done.stdout)["warnings"])


def test_a_table_that_was_changed_since_its_run_is_not_exported(polyyolo, run, tmp_path):
    copy = Path(shutil.copytree(run, tmp_path / "run"))
    table = copy / "calibration.json"
    table.write_text(table.read_text() + " ")

    done = polyyolo("export", copy, "--tensorrt", "8.6", "-o", tmp_path / "yolo.cache")

    assert done.exit_code == 2
    assert "calibration.json was changed since the run" in done.output
    assert not (tmp_path / "yolo.cache").exists()


@pytest.mark.parametrize("name", ["report.json", "model.int8.onnx", "steps.json", "manifest.json"])
def test_export_takes_no_file_of_the_run_that_it_reads(polyyolo, run, tmp_path, name):
    copy = Path(shutil.copytree(run, tmp_path / "run"))
    (copy / name).touch()
    before = (copy / name).read_bytes()

    done = polyyolo("export", copy, "--tensorrt", "8.6", "-o", copy / name)

    assert (done.exit_code, (copy / name).read_bytes()) == (2, before)
    assert not (copy / f"{name}.json").exists()


def test_an_import_takes_the_place_of_no_file_of_a_run(polyyolo, run, tmp_path):
    copy = Path(shutil.copytree(run, tmp_path / "run"))
    before = (copy / "calibration.json").read_bytes()

    done = polyyolo(
        "import", copy / "calibration.cache", "--model", copy / "model.onnx", "-o", copy / "calibration.json"
    )

    assert (done.exit_code, (copy / "calibration.json").read_bytes()) == (2, before)
    assert "which would be lost" in done.output


@pytest.mark.parametrize("place", [".", "/", ""])
def test_a_folder_in_the_place_of_a_cache_is_refused(polyyolo, run, place):
    for words in (
        ("export", run, "--tensorrt", "8.6", "-o", place),
        ("import", place, "--model", run / "model.onnx", "-o", "t.json"),
    ):
        done = polyyolo(*words)
        assert done.exit_code == 2
        assert done.exception is None or isinstance(done.exception, (SystemExit, PolyYoloError))


def test_diff_lists_the_largest_ratio_first(polyyolo, fixture, tmp_path):
    other = tmp_path / "other.cache"
    other.write_text(fixture.read_text().replace("images: 3bf80000", "images: 3cf80000").replace("output0", "output1"))

    lines = polyyolo("diff", fixture, other).stdout.splitlines()

    assert lines[0].split() == ["4x", "0.00756836", "->", "0.0302734", "images"]
    assert lines[-1] == "1 scales differ, 259 are the same, 1 tensors are only in the first, 1 only in the second"


def test_a_run_of_the_calibrated_route_leaves_a_cache_that_fits_its_model(polyyolo, run):
    done = polyyolo("check", run / "calibration.cache", "--model", run / "model.onnx", "--tensorrt", "8.6", "--json")

    told = json.loads(done.stdout)
    assert told["usable"]
    assert (told["manifest"]["pictures"], told["manifest"]["batches"], told["extra"]) == (20, 20, [])


def test_of_what_stays_in_float_eight_tensors_are_listed_unless_all_are_asked_for(polyyolo, run, tmp_path):
    few = tmp_path / "few.cache"
    header, *scales = (run / "calibration.cache").read_text().splitlines(keepends=True)
    few.write_text(header + "".join(scales[10:]))
    words = ("check", few, "--model", run / "model.onnx")

    short, full = (polyyolo(*words, *more).stdout.splitlines() for more in ((), ("--all",)))

    start = next(place for place, line in enumerate(short) if "tensors without a scale, which stay in float:" in line)
    count = int(short[start].split()[0])
    assert count >= 10
    assert len([line for line in short[start + 1 :] if line.startswith("  ")]) == 9
    assert f"  and {count - 8} more, which --all lists" in short
    assert len(full) == len(short) - 9 + count


def test_export_of_that_run_differs_in_the_header_only(polyyolo, run, tmp_path):
    done = polyyolo("export", run, "--tensorrt", "10.3", "-o", tmp_path / "new.cache")

    first, second = (
        (folder / name).read_text() for folder, name in ((run, "calibration.cache"), (tmp_path, "new.cache"))
    )
    assert done.exit_code == 0
    assert second == first.replace("TRT-8600-", "TRT-100300-")
    assert json.loads((tmp_path / "new.cache.json").read_text())["pictures"] == 20


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--keep-float", ""), "has no convolution or matrix product called ''"),
        (("--keep-float", "nonsense"), "has no convolution or matrix product called 'nonsense'"),
        (("--keep-float", "stme"), "did you mean stem"),
        (("--keep-float", "auto"), "what costs the most is measured on pictures"),
        (("--budget", "0.5"), "--budget is for --keep-float stem"),
        (("--keep-float", "none", "--budget", "0.5"), "--budget is for --keep-float stem"),
    ],
)
def test_what_would_keep_nothing_in_float_is_refused(polyyolo, run, tmp_path, words, message):
    done = polyyolo("export", run, "--tensorrt", "8.6", "-o", tmp_path / "new.cache", *words)

    assert done.exit_code == 2
    assert message in done.stderr
    assert not (tmp_path / "new.cache").exists()


def test_a_share_for_what_is_nearest_the_image_counts(polyyolo, run, tmp_path):
    def kept(*words):
        done = polyyolo("export", run, "--tensorrt", "8.6", "-o", tmp_path / "new.cache", "--json", *words)
        return json.loads(done.stdout)["float_layers"]

    assert len(kept("--keep-float", "stem", "--budget", "0.9")) > len(kept("--keep-float", "stem"))


def test_scales_that_are_no_numbers_are_null_in_json(polyyolo, tmp_path):
    (tmp_path / "bad.cache").write_text("TRT-8601-EntropyCalibration2\na: 7f800000\nb: 7fc00000\n")
    (tmp_path / "nil.cache").write_text("TRT-8601-EntropyCalibration2\na: 0\nb: 3c000000\n")

    shown = polyyolo("show", tmp_path / "bad.cache", "--json").stdout
    changes = polyyolo("diff", tmp_path / "nil.cache", tmp_path / "bad.cache", "--json").stdout

    assert json.loads(shown, parse_constant=pytest.fail)["scales"] == {"a": None, "b": None}
    assert {each["tensor"]: each["ratio"] for each in json.loads(changes, parse_constant=pytest.fail)["changes"]} == {
        "a": None,
        "b": None,
    }


def test_a_cache_becomes_a_table_a_qdq_model_and_a_cache_again(polyyolo, fixture, yolov5s, tmp_path):
    table, made, again = tmp_path / "t.json", tmp_path / "int8.onnx", tmp_path / "again.cache"
    model, whole = ("--model", yolov5s), ("--model", yolov5s, "--keep-float", "none")

    assert "197 ranges taken over" in polyyolo("import", fixture, *model, "-o", table).stdout
    assert "a Q/DQ model with 57 nodes in INT8" in polyyolo("import", fixture, *whole, "-o", made).stdout
    told = json.loads(polyyolo("import", made, *model, "-o", tmp_path / "t2.json", "--json").stdout)
    exported = polyyolo("export", table, *whole, "--tensorrt", "8.6", "-o", again)

    assert read_spec(made).quantized
    assert sum(node.op_type == "DequantizeLinear" for node in load(made).graph.node) > 57
    assert (told["tensors"], told["missing"]) == (49, ["/model.23/cv3/act/Mul_output_0"])
    assert "197 scales for TensorRT 8.6" in exported.stdout
    assert polyyolo("check", again, "--model", yolov5s, "--tensorrt", "8.6").exit_code == 0


def test_what_a_cache_or_a_model_keeps_in_float_stays_there(polyyolo, run, tmp_path):
    """The run kept what is nearest the image; the manifest of its cache tells so, and that of another cache too."""
    model, whole = run / "model.onnx", tmp_path / "whole.cache"
    assert polyyolo("export", run, "--tensorrt", "8.6", "--keep-float", "none", "-o", whole).exit_code == 0

    def imported(source, *more, made=tmp_path / "made.onnx"):
        done = polyyolo("import", source, "--model", model, "-o", made, *more)
        assert done.exit_code == 0, done.stderr
        return int(done.stdout.partition("a Q/DQ model with ")[2].split()[0])

    everything = imported(whole, "--keep-float", "none", made=tmp_path / "whole.onnx")
    stem = imported(whole, "--keep-float", "stem")

    assert stem < everything
    assert imported(whole) == everything
    assert imported(tmp_path / "whole.onnx") == everything
    assert imported(run / "calibration.cache") == stem


def test_a_manifest_is_not_written_over_the_table_that_is_read(polyyolo, run, tmp_path):
    """The manifest of a cache named calibration is calibration.json, which is the table in a run's folder."""
    copy = shutil.copytree(run, tmp_path / "run")
    table = (copy / "calibration.json").read_bytes()

    done = polyyolo("export", copy, "--tensorrt", "8.6", "-o", copy / "calibration")

    assert (done.exit_code, done.stderr.partition("\n")[0]) == (
        2,
        f"error: {copy / 'calibration.json'} is {copy / 'calibration.json'} itself, which would be lost",
    )
    assert (copy / "calibration.json").read_bytes() == table


def test_a_table_is_not_written_over_the_manifest_of_the_cache_that_is_read(polyyolo, run, tmp_path):
    copy = shutil.copytree(run, tmp_path / "run")
    manifest = copy / "calibration.cache.json"

    done = polyyolo("import", copy / "calibration.cache", "--model", copy / "model.onnx", "-o", manifest)

    assert (done.exit_code, done.stderr.partition("\n")[0]) == (
        2,
        f"error: {manifest} is {manifest} itself, which would be lost",
    )
    assert polyyolo("check", copy / "calibration.cache", "--model", copy / "model.onnx").exit_code == 0


def test_bad_input_is_one_error_with_its_fix(polyyolo, fixture, yolov5s, run, tmp_path):
    (tmp_path / "empty.cache").touch()
    (tmp_path / "cut.cache").write_bytes(fixture.read_bytes()[:5000])
    (tmp_path / "bad.json").write_text("{")
    (tmp_path / "t.json").write_bytes((run / "calibration.json").read_bytes())
    output = ("-o", tmp_path / "out")
    told = {
        "is empty": polyyolo("show", tmp_path / "empty.cache"),
        "cut.cache:118 is '/model', not a tensor's name": polyyolo("check", tmp_path / "cut.cache", "--model", yolov5s),
        "must not be used": polyyolo("import", fixture, "--model", run / "model.onnx", "-o", tmp_path / "out.json"),
        "out is neither .json nor .onnx": polyyolo("import", fixture, "--model", yolov5s, *output),
        "a table does not tell what stays in float": polyyolo(
            "import", fixture, "--model", yolov5s, "--keep-float", "none", "-o", tmp_path / "out.json"
        ),
        "has no calibration.json": polyyolo("export", tmp_path, "--tensorrt", "8.6", *output),
        "has no INT8 calibrator": polyyolo("export", run, "--tensorrt", "11.1", *output),
        "bad.json is no calibration table: it is no JSON": polyyolo(
            "export", tmp_path / "bad.json", "--tensorrt", "8.6", *output
        ),
        "no model.onnx lies beside": polyyolo("export", tmp_path / "t.json", "--tensorrt", "8.6", *output),
        "belongs to model": polyyolo("export", run, "--tensorrt", "8.6", "--model", yolov5s, *output),
        "has no DequantizeLinear": polyyolo("import", yolov5s, "--model", yolov5s, "-o", tmp_path / "out.json"),
    }

    for sentence, done in told.items():
        assert done.exit_code == 2, sentence
        assert sentence in done.stderr
        assert done.stderr.count("error: ") == done.stderr.count("\n  fix: ") == 1
    assert not list(tmp_path.glob("out*"))


def test_a_build_and_a_plan_refuse_a_foreign_cache_before_anything_runs(fixture, models):
    asked = ("plan", models / "yolov8n-640.onnx", "--tensorrt", "8.6", "--cache", fixture)

    done = CliRunner().invoke(main, [str(word) for word in asked])

    assert done.exit_code == 2
    assert "it was made for another one" in done.stderr
