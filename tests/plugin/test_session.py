"""``--onnxrt`` beside our options: ONNX Runtime as everywhere in polyyolo, which computes Q/DQ nodes as written."""

import runpy

import pytest
from onnxruntime import GraphOptimizationLevel

PLAIN, OURS = "SessionFromOnnx(", "SessionAsWritten("


@pytest.fixture
def opened(polygraphy_run, tmp_path):
    """Open the session of the script that ``polygraphy run`` writes, and give the options that ONNX Runtime took."""

    def options(*words):
        assert polygraphy_run(*words, "--gen-script", "run.py").status == 0
        return runpy.run_path(str(tmp_path / "run.py"))["open_session"]().get_session_options()

    return options


@pytest.mark.parametrize("changed", [(), ("--onnx-outputs", "mark", "all")])
def test_pictures_go_through_q_dq_nodes_and_no_integer_kernels(opened, little_yolo, little_pictures, changed):
    """Integer kernels saturate on processors without VNNI: INT8 seems to find nothing there."""
    options = opened(little_yolo, "--onnxrt", "--yolo-images", little_pictures, "--yolo-count", 1, *changed)

    assert options.get_session_config_entry("session.disable_quant_qdq") == "1"
    assert options.graph_optimization_level == GraphOptimizationLevel.ORT_ENABLE_ALL


def test_polygraphys_own_options_for_the_session_count(opened, polygraphy_run, little_yolo, little_pictures):
    words = (little_yolo, "--onnxrt", "--yolo-images", little_pictures, "--yolo-count", 1, "--providers", "CPU")

    options = opened(*words, "--graph-optimization-level", "ORT_ENABLE_BASIC")

    assert options.graph_optimization_level == GraphOptimizationLevel.ORT_ENABLE_BASIC
    assert polygraphy_run(*words).status == 0


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ((), PLAIN),
        (("--yolo-images", "."), OURS),
        (("--onnxrt", "--data-loader-script", "pictures.py", "--yolo-compare"), OURS),
    ],
)
def test_only_our_options_change_the_session(polygraphy_run, little_yolo, words, expected):
    script = polygraphy_run(little_yolo, "--onnxrt", *words, "--gen-script", "-").text

    assert [each for each in (PLAIN, OURS) if each in script] == [expected]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--providers", "abacus"), "ONNX Runtime has no execution provider abacus here"),
        (("--graph-optimization-level", "most"), "ONNX Runtime has no optimization level most"),
    ],
)
def test_what_onnx_runtime_does_not_have_is_refused(polygraphy_run, little_yolo, little_pictures, words, message):
    ran = polygraphy_run(little_yolo, "--onnxrt", "--yolo-images", little_pictures, *words)

    assert ran.status == 1
    assert message in ran.text
    assert "fix: give --" in ran.text
    assert "Traceback" not in ran.text
