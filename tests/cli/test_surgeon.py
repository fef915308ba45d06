"""polyyolo surgeon: each pass from the command line, its options, its refusals and their exit codes."""

import json

import pytest
from click.testing import CliRunner

from polyyolo.cli import main
from polyyolo.models.spec import read_spec
from polyyolo.records import HeadKind


@pytest.fixture
def polyyolo():
    """Run a command line: its exit code, what it printed, and what it printed to standard error."""

    def run(*arguments):
        result = CliRunner().invoke(main, [str(each) for each in arguments])
        return result.exit_code, result.stdout, result.stderr

    return run


def test_every_pass_is_listed_in_the_help(polyyolo):
    code, out, _ = polyyolo("surgeon", "--help")

    listed = [line.split()[0] for line in out.partition("Commands:")[2].splitlines() if line.startswith("  ")]
    assert code == 0
    assert [each for each in listed if "-" in each or each.isalpha()] == [
        "cut-decode",
        "drop-outputs",
        "fold-constants",
        "fuse-dfl",
        "join-siblings",
        "leakyrelu-to-relu",
        "merge-decode",
        "metadata",
        "odd-kernel",
        "pool-first",
        "read-whole",
        "rename",
        "shape",
        "simplify",
        "turn-late",
    ]


def test_a_pass_writes_the_new_model_and_says_what_it_did(polyyolo, models, tmp_path):
    code, out, err = polyyolo("surgeon", "cut-decode", models / "yolov8n-640.onnx", tmp_path / "raw.onnx")

    assert (code, out) == (0, f"{tmp_path / 'raw.onnx'}: cut-decode\n")
    assert "head8 (144 channels)" in err


def test_nothing_to_do_is_said_and_still_writes_the_model(polyyolo, models, tmp_path):
    code, out, _ = polyyolo("surgeon", "cut-decode", models / "yolov4-tiny-416.onnx", tmp_path / "raw.onnx", "--quiet")

    assert (code, out) == (0, f"{tmp_path / 'raw.onnx'}: nothing to change\n")
    assert read_spec(tmp_path / "raw.onnx").head.kind is HeadKind.DARKNET_RAW


def test_options_of_several_values_reach_their_pass(polyyolo, models, tmp_path):
    renamed, told, path = (tmp_path / f"{number}.onnx" for number in range(3))
    assert polyyolo("surgeon", "rename", models / "yolov8n-640.onnx", renamed, "--input", "images=pixels")[0] == 0
    assert polyyolo("surgeon", "metadata", renamed, told, "--strip", "--keep", "names", "--set", "a=b=c")[0] == 0
    code, out, _ = polyyolo("surgeon", "shape", told, path, "--batch", "dynamic", "--json")

    made = json.loads(out)
    assert (code, made["changed"], made["model"]["image"]) == (0, True, "pixels")
    assert made["model"]["inputs"][0]["dims"] == ["batch", 3, 640, 640]
    assert set(made["model"]["metadata"]) == {"names", "a"}
    assert made["model"]["metadata"]["a"] == "b=c"


def test_leaky_relu_to_relu_warns_and_measures_what_it_cost(polyyolo, models, val, tmp_path):
    source, path = models / "yolov4-tiny-416.onnx", tmp_path / "m.onnx"

    code, out, err = polyyolo("surgeon", "leakyrelu-to-relu", source, path, "--images", val / "images", "--count", "4")

    assert code == 0
    assert "weights that were trained with LeakyReLU lose accuracy" in err
    assert "against the original on 4 pictures:" in out
    assert "confidence 0.25, IoU 0.5: F1 0." in out
    assert "F1 1.000" not in out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("shape", "--batch", "many"), "'many' is neither a number nor dynamic"),
        (("shape", "--size", "1x2x3"), "'1x2x3' is no size such as 640, 384x640 or dynamic"),
        (("shape", "--size", "300"), "300x300 does not fit the model's stride of 32"),
        (("shape", "--batch", "99999999999999999999"), "99999999999999999999 is more than 65536"),
        (("shape", "--size", "64x99999999999999999999"), "99999999999999999999 is more than 65536"),
        (("leakyrelu-to-relu", "--images", "nope"), "no such file or folder: nope"),
        (("metadata", "--keep", "names"), "nothing is removed that keys could be kept from"),
        (("shape",), "neither a batch nor a size was given"),
        (("rename", "--input", "images"), "'images' is not of the form name=value"),
        (("rename", "--input", "a=b", "--input", "a=c"), "'a' is given twice"),
        (("rename", "--output", "boxes=b"), "the model has no output 'boxes'"),
        (("drop-outputs", "--drop", "output0"), "dropping every output leaves no model"),
        (("metadata", "--strip", "--keep", "nothing"), "the metadata has no 'nothing'"),
    ],
)
def test_options_that_cannot_be_are_refused_with_exit_code_2_and_no_file(
    polyyolo, models, tmp_path, arguments, message
):
    name, *options = arguments

    code, _, err = polyyolo("surgeon", name, models / "yolov8n-640.onnx", tmp_path / "m.onnx", *options)

    assert code == 2
    assert message in err
    assert list(tmp_path.iterdir()) == []


def test_a_model_that_is_none_leaves_what_was_there(polyyolo, tmp_path):
    (tmp_path / "text.onnx").write_text("hello")
    (tmp_path / "out.onnx").write_text("earlier")

    code, _, err = polyyolo("surgeon", "simplify", tmp_path / "text.onnx", tmp_path / "out.onnx")

    assert code == 2
    assert "is a text file, not an ONNX" in err
    assert "fix: " in err
    assert (tmp_path / "out.onnx").read_text() == "earlier"


def test_a_folder_that_cannot_be_written_to_is_an_input_error(polyyolo, models, tmp_path):
    (tmp_path / "file").write_text("")

    code, _, err = polyyolo("surgeon", "simplify", models / "yolov8n-640.onnx", tmp_path / "file" / "out.onnx")

    assert code == 2
    assert f"{tmp_path / 'file'} is a file, not a folder" in err
    assert err.endswith("choose a folder for OUTPUT\n")
