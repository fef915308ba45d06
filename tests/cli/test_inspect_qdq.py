"""polyyolo inspect qdq: the table, the exit codes, and what --fix writes."""

import json

import numpy as np
import onnx
import pytest
from click.testing import CliRunner
from onnx import numpy_helper

from polyyolo.cli import main
from polyyolo.models.spec import load
from polyyolo.quantization.graph import imported
from polyyolo.quantization.insertion import insert
from polyyolo.quantization.placement import FloatBudget, place
from polyyolo.records import CalibrationTable, Preprocessing


@pytest.fixture
def polyyolo():
    """Run a command line in a wide terminal: its exit code, what it printed, and what went to standard error."""

    def run(*arguments):
        result = CliRunner(env={"COLUMNS": "200"}).invoke(main, [str(each) for each in arguments])
        return result.exit_code, result.stdout, result.stderr

    return run


@pytest.fixture(scope="module")
def clean(tmp_path_factory, little_yolo):
    """The little YOLO as polyyolo quantizes it, with its first convolution in float."""
    model = load(little_yolo)
    placement = place(imported(model), {}, FloatBudget(names=("stem_conv",)))
    table = CalibrationTable(
        model_sha256="0" * 64,
        set_sha256="1" * 64,
        preprocessing=Preprocessing((64, 64)),
        pictures=1,
        method="max",
        ranges={name: {"max": 4.0} for name in placement.measured},
        histogram_sha256="2" * 64,
    )
    path = tmp_path_factory.mktemp("qdq") / "clean.onnx"
    onnx.save(insert(model, placement, table), path)
    return path


@pytest.fixture
def spoilt(clean, tmp_path):
    """The same with other numbers in place of constants."""

    def write(**values):
        model = onnx.load(clean)
        for tensor in model.graph.initializer:
            for ending, value in values.items():
                if tensor.name.endswith(ending) and not tensor.dims:
                    tensor.CopyFrom(numpy_helper.from_array(np.asarray(value), tensor.name))
        onnx.save(model, tmp_path / "spoilt.onnx")
        return tmp_path / "spoilt.onnx"

    return write


def test_a_clean_model_passes_and_tells_its_share_of_int8(polyyolo, clean):
    code, out, _ = polyyolo("inspect", "qdq", clean, "--strict")

    assert code == 0
    assert out.splitlines() == ["no mistakes found; in INT8: 91.1% of 0.00 GMACs, 10 of 14 convolutions and products"]


def test_errors_are_shown_by_rule_with_cost_and_fix_and_fail(polyyolo, spoilt):
    code, out, _ = polyyolo("inspect", "qdq", spoilt(_zero_point=np.int8(-3)))

    assert code == 1
    assert "zero-point" in out
    assert '"Non-zero zero point is not supported"' in out
    assert "fix: quantize symmetrically" in out
    assert "and 15 more" in out
    assert "18 errors; in INT8" in out


@pytest.mark.parametrize("command", ["engine", "plan", "build"])
def test_what_the_parser_refuses_is_refused_before_anything_is_done(polyyolo, spoilt, tmp_path, command):
    words = {"engine": ("--toolchain", "none"), "plan": ("--tensorrt", "10.16"), "build": ()}

    out = tmp_path / "out.plan"
    code, _, err = polyyolo(command, spoilt(_zero_point=np.int8(-3)), *words[command], "-o", out)

    assert code == 2
    assert "cannot be built: the zero-point is not 0" in err
    assert "polyyolo inspect qdq tells all" in err
    assert not out.exists()


def test_a_bias_stored_as_int32_is_refused_and_can_be_mended(polyyolo, clean, tmp_path):
    """ONNX Runtime's quantizer stores them so by default; TensorRT dequantizes no INT32."""
    model = onnx.load(clean)
    (conv,) = [node for node in model.graph.node if node.op_type == "Conv" and node.output[0] == "stem_conv"]
    (bias,) = [each for each in model.graph.initializer if each.name == conv.input[2]]
    stored = np.round(onnx.numpy_helper.to_array(bias) / np.float32(2**-16)).astype(np.int32)
    model.graph.initializer.append(onnx.numpy_helper.from_array(stored, "stored"))
    model.graph.initializer.append(onnx.numpy_helper.from_array(np.float32(2**-16), "stored_scale"))
    model.graph.node.insert(0, onnx.helper.make_node("DequantizeLinear", ["stored", "stored_scale"], ["restored"]))
    conv.input[2] = "restored"
    onnx.save(model, tmp_path / "int32.onnx")

    code, _, err = polyyolo("engine", tmp_path / "int32.onnx", "--toolchain", "none", "-o", tmp_path / "run")

    assert code == 2
    assert "cannot be built: the bias is quantized at stored" in err
    assert polyyolo("inspect", "qdq", tmp_path / "int32.onnx", "--fix", "-o", tmp_path / "mended.onnx")[0] == 0
    assert polyyolo("plan", tmp_path / "mended.onnx", "--tensorrt", "8.6")[0] == 0


def test_fix_writes_a_model_that_passes(polyyolo, spoilt, tmp_path):
    mended = tmp_path / "mended.onnx"

    code, out, _ = polyyolo("inspect", "qdq", spoilt(_zero_point=np.int8(-3)), "--fix", "-o", mended)

    assert code == 0
    assert f"{mended}: zero-point: mended 18" in out
    assert polyyolo("inspect", "qdq", mended, "--strict")[0] == 0


def test_warnings_fail_only_when_strict(polyyolo, clean, tmp_path):
    model = onnx.load(clean)
    (node,) = [node for node in model.graph.node if node.output[0] == "down1_gate"]
    pair = [each for each in model.graph.node if each.op_type.endswith("Linear") and "stem" in each.input[0]]
    scale, zero = pair[0].input[1:]
    position = list(model.graph.node).index(node)
    model.graph.node.insert(position, onnx.helper.make_node("DequantizeLinear", ["q", scale, zero], ["dq"]))
    model.graph.node.insert(position, onnx.helper.make_node("QuantizeLinear", [node.input[0], scale, zero], ["q"]))
    node.input[0] = "dq"
    path = tmp_path / "warned.onnx"
    onnx.save(model, path)

    assert polyyolo("inspect", "qdq", path)[0] == 0
    code, out, _ = polyyolo("inspect", "qdq", path, "--strict")
    assert code == 1
    assert "1 warning; in INT8" in out
    assert "conv-activation" in out


def test_json_groups_the_places_by_rule(polyyolo, spoilt, tmp_path):
    path, mended = spoilt(_zero_point=np.int8(-3)), tmp_path / "mended.onnx"

    code, out, _ = polyyolo("inspect", "qdq", path, "--json", "--fix", "-o", mended)

    told = json.loads(out)
    errors, share = told["findings"]
    assert code == 0
    assert (errors["name"], errors["severity"], len(errors["places"])) == ("zero-point", "error", 18)
    assert errors["places"][0] == {"names": ["stem"], "detail": "zero-point -3", "mendable": True}
    assert share["places"][0]["detail"].startswith("91.1% of")
    assert told["mended"]["model"] == str(mended)
    assert told["mended"]["notes"] == ["zero-point: mended 18"]
    assert [rule["name"] for rule in told["mended"]["findings"]] == ["int8-share"]


@pytest.fixture
def weights_only(little_yolo, tmp_path):
    """The little YOLO with the weights of its convolutions as INT8 and nothing else."""
    model = load(little_yolo)
    floats = {tensor.name: tensor for tensor in model.graph.initializer}
    for node in [node for node in model.graph.node if node.op_type == "Conv"]:
        name = node.input[1]
        values = numpy_helper.to_array(floats[name])
        scale = np.abs(values).max(axis=(1, 2, 3)) / 127
        levels = np.rint(values / scale[:, None, None, None]).astype(np.int8)
        floats[name].CopyFrom(numpy_helper.from_array(levels, name))
        model.graph.initializer.append(numpy_helper.from_array(scale, f"{name}_scale"))
        restored = onnx.helper.make_node("DequantizeLinear", [name, f"{name}_scale"], [f"{name}_dq"], axis=0)
        model.graph.node.insert(0, restored)
        node.input[1] = f"{name}_dq"
    onnx.save(model, tmp_path / "weights-only.onnx")
    return tmp_path / "weights-only.onnx"


def test_a_model_without_any_pair_left_is_written_and_told_of(polyyolo, weights_only, tmp_path):
    told = polyyolo("inspect", "qdq", weights_only, "--fix", "-o", tmp_path / "mended.onnx")
    code, out, err = polyyolo("inspect", "qdq", weights_only, "--fix", "-o", tmp_path / "mended.onnx", "--json")

    after = json.loads(out)["mended"]
    assert (code, err, told[0]) == (0, "", 0)
    assert after["notes"][-1] == "nothing is left in INT8: quantize the float model with polyyolo engine"
    assert after["notes"][-1] in told[1]
    assert [rule["name"] for rule in after["findings"]] == ["int8-share"]
    assert after["findings"][0]["places"][0]["detail"].startswith("0.0% of")


def test_a_float_model_is_no_input_for_it(polyyolo, little_yolo):
    code, _, err = polyyolo("inspect", "qdq", little_yolo)

    assert code == 2
    assert "no QuantizeLinear or DequantizeLinear in its graph: nothing is quantized" in err
    assert "fix: quantize it first, with polyyolo engine" in err


@pytest.mark.parametrize("options", [["--fix"], ["-o", "mended.onnx"]])
def test_fix_and_output_go_together(polyyolo, clean, options):
    code, _, err = polyyolo("inspect", "qdq", clean, *options)

    assert code == 2
    assert "--fix and --output go together" in err


def test_a_model_that_is_absent_or_cut_off_is_bad_input(polyyolo, clean, tmp_path):
    cut = tmp_path / "cut.onnx"
    cut.write_bytes(clean.read_bytes()[:1000])

    assert polyyolo("inspect", "qdq", cut)[0] == 2
    assert polyyolo("inspect", "qdq", tmp_path / "absent.onnx")[0] == 2
