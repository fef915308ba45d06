"""What cannot end well is refused before anything runs, with what to do instead."""

import re
from pathlib import Path

import pytest
from attrs import evolve

from polyyolo.engines.plan import BuildOptions, Program, Typing, make_plan, typing_for
from polyyolo.engines.profiles import default
from polyyolo.engines.toolchain import named
from polyyolo.errors import InputError, ModelError, ProfileError, ToolchainError
from polyyolo.models.half import Half
from polyyolo.records import Precision, Profile, Route, ShapeRange, TensorSpec, Toolchain, ToolchainKind

RTX = named("1.7", kind=ToolchainKind.RTX)
CACHE = Path("yolo.cache")
CALIBRATED = {"route": Route.CALIBRATED, "calibration_cache": CACHE}
OPEN = ("batch", 3, "height", "width")


def refusal(spec, toolchain, engine="yolo.plan", **options):
    toolchain = named(toolchain) if isinstance(toolchain, str) else toolchain
    with pytest.raises((InputError, ToolchainError)) as error:
        make_plan(spec, default(spec), toolchain, Path(engine), BuildOptions(**options))
    return error.value


def notes(spec, toolchain, **options):
    return make_plan(spec, default(spec), toolchain, Path("yolo.plan"), BuildOptions(**options)).notes


def test_tensorrt_11_refuses_calibration_and_points_to_qdq(yolo):
    error = refusal(yolo(quantized=False), "11.4.0", **CALIBRATED)

    assert type(error) is ToolchainError
    assert error.message == "TensorRT 11.4.0 has no INT8 calibrator (removed in 11.0)"
    assert error.fix.startswith("use --route qdq: polyyolo engine ")
    assert "--precision" not in error.fix


def test_tensorrt_for_rtx_has_no_calibrator_either(yolo):
    error = refusal(yolo(quantized=False), RTX, **CALIBRATED)

    assert error.message == "TensorRT for RTX 1.7 has no INT8 calibrator"


def test_calibration_without_a_cache_is_refused_since_builders_would_make_scales_up(yolo):
    error = refusal(yolo(quantized=False), "8.6", route=Route.CALIBRATED)

    assert type(error) is InputError
    assert "calibrate on noise" in error.message
    assert "--calib" in error.fix


def test_calibrating_a_model_with_qdq_is_refused_since_the_cache_would_be_ignored(yolo):
    error = refusal(yolo(), "10.16", **CALIBRATED)

    assert type(error) is ModelError
    assert "ignore the calibration cache" in error.message


def test_calibration_is_a_way_to_int8_only(yolo):
    assert "fp16 was asked for" in refusal(yolo(quantized=False), "8.6", precision=Precision.FP16, **CALIBRATED).message


def test_a_cache_on_the_qdq_route_is_refused(yolo):
    assert "does not read yolo.cache" in refusal(yolo(), "8.6", calibration_cache=CACHE).message


@pytest.mark.parametrize("toolchain", ["8.6", "10.16", "11.4", RTX])
def test_int8_without_scales_is_refused(yolo, toolchain):
    error = refusal(yolo(quantized=False), toolchain)

    assert type(error) is ModelError
    assert error.message.startswith("yolo.onnx holds no Q/DQ nodes")
    assert "polyyolo engine yolo.onnx --images DIR" in error.fix


@pytest.mark.parametrize("precision", [Precision.FP16, Precision.FP32])
def test_a_qdq_model_is_not_built_as_float(yolo, precision):
    assert f"{precision.value} was asked for" in refusal(yolo(), "8.6", precision=precision).message


@pytest.mark.parametrize("toolchain", ["11.0", RTX])
def test_fp16_from_an_fp32_onnx_is_refused_where_types_come_from_the_onnx(yolo, toolchain):
    error = refusal(yolo(quantized=False), toolchain, precision=Precision.FP16, half=Half())

    assert type(error) is ModelError
    assert "FP32 throughout" in error.message
    assert "--precision fp16 casts it first" in error.fix


def test_fp16_scales_are_refused_where_the_parser_reads_them_as_fp32(yolo):
    error = refusal(yolo(), "8.6", half=Half(anywhere=True, scales=True))

    assert "Q/DQ scales in FP16, which TensorRT 8.6 reads as FP32" in error.message


def test_several_optimisation_profiles_are_too_many_for_trtexec_8(yolo):
    shapes = ShapeRange((1, 3, 320, 320), (1, 3, 320, 320), (1, 3, 320, 320))
    profile = Profile("two", ({"*": shapes}, {"*": shapes}))

    with pytest.raises(ProfileError, match=r"has 2 optimisation profiles, but trtexec 8\.6 takes one") as error:
        make_plan(yolo(OPEN), profile, named("8.6"), Path("e"), BuildOptions(program=Program.TRTEXEC))

    assert "--program polygraphy" in error.value.fix


@pytest.mark.parametrize("capability", ["7.0", "8.7", "9.0", "10.0", "11.0"])
def test_tensorrt_for_rtx_refuses_gpus_that_it_does_not_know(yolo, capability):
    error = refusal(yolo(), RTX, compute_capabilities=("8.9", capability))

    assert type(error) is ToolchainError
    assert error.message == f"TensorRT for RTX does not support compute capability {capability}"


def test_a_compute_capability_is_a_number_with_a_point(yolo):
    assert "'sm_89' is no compute capability" in refusal(yolo(), RTX, compute_capabilities=("sm_89",)).message


def test_tensorrt_builds_for_the_gpu_at_hand_only(yolo):
    assert "compute capabilities cannot be named" in refusal(yolo(), "10.16", compute_capabilities=("8.9",)).message


def test_trtexec_does_not_build_for_rtx(yolo):
    assert "--program polygraphy" in refusal(yolo(), RTX, program=Program.TRTEXEC).fix


def test_a_program_that_is_not_here_is_refused(yolo):
    here = evolve(named("8.6"), trtexec=Path("/bin/trtexec"), missing=("the Python package tensorrt is not installed",))

    error = refusal(yolo(), here, program=Program.POLYGRAPHY)

    assert "the Python package tensorrt is not installed" in error.message
    assert error.fix == "use --program trtexec"


def test_no_toolchain_is_an_error_that_says_what_was_looked_for(yolo):
    error = refusal(yolo(), Toolchain(ToolchainKind.NONE, missing=("no NVIDIA GPU: nvidia-smi is not installed",)))

    assert error.exit_code == 3
    assert "nvidia-smi is not installed" in error.message
    assert "pip install 'polyyolo[rtx]'" in error.fix


def test_an_engine_never_overwrites_its_model(yolo):
    assert refusal(yolo(), "8.6", engine="yolo.onnx").message == "yolo.onnx is yolo.onnx itself, which would be lost"


@pytest.mark.parametrize("lost", ["yolo.onnx", "yolo.cache", "yolo.plan"])
def test_a_timing_cache_never_overwrites_what_is_read_or_built(yolo, lost):
    error = refusal(yolo(quantized=False), "8.6", timing_cache=Path(f"./{lost}"), **CALIBRATED)

    assert type(error) is InputError
    assert error.message == f"{lost} is {lost} itself, which would be lost"


def test_a_folder_is_no_timing_cache(yolo, tmp_path):
    assert refusal(yolo(), "8.6", timing_cache=tmp_path).message == f"{tmp_path} is a folder"


def test_a_colon_in_the_models_path_is_refused_since_polygraphy_cuts_there(yolo):
    assert "cuts a path at its colon: 10:30/yolo.onnx" in refusal(yolo(path="10:30/yolo.onnx"), "8.6").message


@pytest.mark.parametrize("name", ["boxes,0", "it's"])
def test_an_open_input_that_trtexec_cannot_be_told_of_is_refused_for_trtexec(yolo, name):
    spec = yolo(("n", 3, 640, 640), more=(TensorSpec(name, "float32", ("n", 4)),))
    shapes = {"*": ShapeRange(*[(1, 3, 640, 640)] * 3), name: ShapeRange((1, 4), (2, 4), (3, 4))}

    with pytest.raises(InputError, match=re.escape(f"an input called {name!r}")):
        make_plan(spec, Profile("both", (shapes,)), named("10.16"), Path("e"), BuildOptions(program=Program.TRTEXEC))


def test_a_profile_that_does_not_fit_is_refused_by_the_plan_too(yolo):
    shapes = ShapeRange((1, 3, 320, 320), (1, 3, 320, 320), (1, 3, 320, 320))

    with pytest.raises(ProfileError, match="axis 2 \\(height\\) is fixed at 640 in the model, 320 here"):
        make_plan(yolo(), Profile("small", ({"*": shapes},)), named("8.6"), Path("e"))


@pytest.mark.parametrize(
    ("toolchain", "typing"),
    [
        (named("8.5"), Typing.WEAK),
        (named("9.3"), Typing.WEAK),
        (named("10.0"), Typing.STRONG),
        (named("11.4"), Typing.STRONG),
        (RTX, Typing.STRONG),
        (Toolchain(ToolchainKind.NONE), Typing.STRONG),
    ],
)
def test_the_onnx_is_prepared_as_the_toolchain_types_it(toolchain, typing):
    assert typing_for(toolchain) is typing
    assert typing_for(toolchain, Route.CALIBRATED) is Typing.WEAK


def test_notes_say_what_an_fp32_rest_costs_under_strong_typing(yolo):
    assert any("what is not INT8 runs in FP32" in note for note in notes(yolo(), named("11.4"), half=Half()))


@pytest.mark.parametrize(
    ("release", "opset", "documented"), [("8.6", 18, 17), ("9.3", 20, 19), ("10.1", 21, 20), ("8.6", 17, None)]
)
def test_notes_warn_of_an_opset_that_the_parser_does_not_document(yolo, release, opset, documented):
    told = [note for note in notes(yolo(opset=opset), named(release)) if "opset" in note]

    assert [f"documents up to {documented}:" in note for note in told] == ([True] if documented else [])


def test_notes_say_when_the_gpu_here_cannot_run_what_it_builds(yolo):
    here = evolve(RTX, gpu="NVIDIA H200", compute_capability="9.0")

    assert "the GPU here (NVIDIA H200, 9.0) cannot run it" in " ".join(notes(yolo(), here))


def test_notes_say_which_layers_trtexec_cannot_be_told_to_keep_in_float(yolo):
    spec = yolo(quantized=False)
    layers = {"float_layers": ("/model.0/conv", "head,0"), **CALIBRATED}

    (told,) = [note for note in notes(spec, named("8.6"), program=Program.TRTEXEC, **layers) if "in float" in note]
    assert told.startswith("1 of the layers to keep in float may run in INT8: ")
    assert told.endswith("such as head,0; build with --program polygraphy")
    told = notes(spec, named("8.6"), program=Program.POLYGRAPHY, **layers)
    assert not [note for note in told if "in float" in note], "Polygraphy takes any name"
