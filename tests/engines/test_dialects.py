"""Whole command lines, for every dialect of trtexec and for Polygraphy."""

from pathlib import Path

import pytest
from attrs import evolve

from polyyolo.engines.plan import BuildOptions, Program, make_plan, shell_line
from polyyolo.engines.profiles import default, load
from polyyolo.engines.toolchain import named
from polyyolo.models.half import Half
from polyyolo.records import Precision, Profile, Route, ShapeRange, TensorSpec, ToolchainKind

ENGINE = Path("out/yolo.plan")
OPEN = ("batch", 3, "height", "width")
CAST, FLOAT = Half(anywhere=True, scales=True), Half()
TRTEXEC, POLYGRAPHY = Program.TRTEXEC, Program.POLYGRAPHY
DETAIL, DETAILED = "--profilingVerbosity=detailed", ("--profiling-verbosity", "detailed")

TRTEXEC_SHAPES = (
    "--minShapes=images:1x3x640x640",
    "--optShapes=images:8x3x640x640",
    "--maxShapes=images:16x3x640x640",
)
POLYGRAPHY_SHAPES = (
    *("--trt-min-shapes", "images:[1,3,640,640]"),
    *("--trt-opt-shapes", "images:[8,3,640,640]"),
    *("--trt-max-shapes", "images:[16,3,640,640]"),
)


def argv(spec, release, program, **options):
    toolchain = release if not isinstance(release, str) else named(release)
    profile = options.pop("profile", None) or (load("batch-1-16") if spec.image_input.is_dynamic else default(spec))
    return make_plan(spec, profile, toolchain, ENGINE, BuildOptions(program=program, **options)).command.argv


@pytest.mark.parametrize(
    ("release", "half", "typed", "last"),
    [
        ("8.5", FLOAT, ("--int8", "--fp16"), "--buildOnly"),
        ("8.6", FLOAT, ("--int8", "--fp16"), "--skipInference"),
        ("9.3", FLOAT, ("--int8", "--fp16"), "--skipInference"),
        ("10.0", CAST, ("--stronglyTyped",), "--skipInference"),
        ("10.0", FLOAT, ("--int8", "--fp16"), "--skipInference"),
        ("10.16", CAST, ("--stronglyTyped",), "--skipInference"),
        ("10.16", None, ("--stronglyTyped",), "--skipInference"),
        ("11.0", CAST, (), "--skipInference"),
        ("11.4", CAST, (), "--skipInference"),
        ("11.4", FLOAT, (), "--skipInference"),
    ],
)
def test_trtexec_builds_a_qdq_model_in_the_dialect_of_its_release(yolo, release, half, typed, last):
    head = ("trtexec", "--onnx=yolo.onnx", "--saveEngine=out/yolo.plan", *typed)

    assert argv(yolo(), release, TRTEXEC, half=half) == (*head, DETAIL, last)
    assert argv(yolo(OPEN), release, TRTEXEC, half=half) == (*head, *TRTEXEC_SHAPES, DETAIL, last)


@pytest.mark.parametrize(
    ("release", "half", "typed"),
    [
        ("8.5", FLOAT, ("--int8", "--fp16")),
        ("8.6", FLOAT, ("--int8", "--fp16")),
        ("9.3", FLOAT, ("--int8", "--fp16")),
        ("10.0", CAST, ("--strongly-typed",)),
        ("10.0", FLOAT, ("--int8", "--fp16")),
        ("10.16", CAST, ("--strongly-typed",)),
        ("11.0", CAST, ()),
        ("11.4", CAST, ()),
        (named("1.7", kind=ToolchainKind.RTX), CAST, ()),
    ],
)
def test_polygraphy_builds_a_qdq_model_with_every_tensorrt(yolo, release, half, typed):
    head = ("polygraphy", "convert", "yolo.onnx", "--convert-to", "trt", "-o", "out/yolo.plan", *typed)

    assert argv(yolo(), release, POLYGRAPHY, half=half) == (*head, *DETAILED)
    assert argv(yolo(OPEN), release, POLYGRAPHY, half=half) == (*head, *POLYGRAPHY_SHAPES, *DETAILED)


@pytest.mark.parametrize(
    ("release", "half", "precision", "typed"),
    [
        ("8.6", FLOAT, Precision.FP32, ()),
        ("8.6", FLOAT, Precision.FP16, ("--fp16",)),
        ("10.16", FLOAT, Precision.FP16, ("--fp16",)),
        ("10.16", CAST, Precision.FP16, ("--stronglyTyped",)),
        ("10.16", FLOAT, Precision.FP32, ()),
        ("11.4", CAST, Precision.FP16, ()),
        ("11.4", FLOAT, Precision.FP32, ()),
    ],
)
def test_a_float_model_gets_the_flags_of_its_precision(yolo, release, half, precision, typed):
    line = argv(yolo(quantized=False), release, TRTEXEC, half=half, precision=precision)

    assert line == ("trtexec", "--onnx=yolo.onnx", "--saveEngine=out/yolo.plan", *typed, DETAIL, "--skipInference")


@pytest.mark.parametrize("release", ["8.6", "9.3", "10.16"])
def test_a_calibration_cache_is_handed_over_with_weak_typing(yolo, release):
    options = {"route": Route.CALIBRATED, "calibration_cache": Path("yolo.cache"), "half": FLOAT}
    spec = yolo(quantized=False)

    assert argv(spec, release, TRTEXEC, **options) == (
        *("trtexec", "--onnx=yolo.onnx", "--saveEngine=out/yolo.plan", "--int8", "--fp16"),
        *("--calib=yolo.cache", DETAIL, "--skipInference"),
    )
    assert argv(spec, release, POLYGRAPHY, **options) == (
        *("polygraphy", "convert", "yolo.onnx", "--convert-to", "trt", "-o", "out/yolo.plan", "--int8", "--fp16"),
        *("--calibration-cache", "yolo.cache", *DETAILED),
    )


def test_several_optimisation_profiles_are_numbered_for_trtexec_and_repeated_for_polygraphy(yolo):
    small, large = (1, 3, 320, 320), (1, 3, 640, 640)
    profile = Profile("two", tuple({"*": ShapeRange(shape, shape, shape)} for shape in (small, large)))

    assert argv(yolo(OPEN), "9.0", TRTEXEC, profile=profile)[5:-2] == (
        *("--profile=0", "--minShapes=images:1x3x320x320"),
        *("--optShapes=images:1x3x320x320", "--maxShapes=images:1x3x320x320"),
        *("--profile=1", "--minShapes=images:1x3x640x640"),
        *("--optShapes=images:1x3x640x640", "--maxShapes=images:1x3x640x640"),
    )
    assert argv(yolo(OPEN), "8.6", POLYGRAPHY, profile=profile)[9:-2] == (
        *("--trt-min-shapes", "images:[1,3,320,320]", "--trt-opt-shapes", "images:[1,3,320,320]"),
        *("--trt-max-shapes", "images:[1,3,320,320]", "--trt-min-shapes", "images:[1,3,640,640]"),
        *("--trt-opt-shapes", "images:[1,3,640,640]", "--trt-max-shapes", "images:[1,3,640,640]"),
    )


def test_only_inputs_with_open_axes_are_told_their_shapes_and_odd_names_are_quoted(yolo):
    more = (TensorSpec("boxes:0", "float32", ("n", 4)), TensorSpec("fixed", "float32", (1, 2)))
    shapes = {"*": ShapeRange(*[(1, 3, 640, 640)] * 3), "boxes:0": ShapeRange((1, 4), (2, 4), (3, 4))}
    profile = Profile("both", (shapes,))

    assert argv(yolo(OPEN, more=more), "10.16", TRTEXEC, profile=profile)[4:-2] == (
        "--minShapes=images:1x3x640x640,'boxes:0':1x4",
        "--optShapes=images:1x3x640x640,'boxes:0':2x4",
        "--maxShapes=images:1x3x640x640,'boxes:0':3x4",
    )
    assert argv(yolo(OPEN, more=more), "11.4", POLYGRAPHY, profile=profile)[7:10] == (
        *("--trt-min-shapes", "images:[1,3,640,640]", "boxes:0:[1,4]"),
    )


def test_a_timing_cache_is_read_and_written_again(yolo):
    cache = Path("t.cache")

    assert argv(yolo(), "11.4", TRTEXEC, timing_cache=cache)[3:] == (
        *("--timingCacheFile=t.cache", DETAIL, "--skipInference"),
    )
    assert argv(yolo(), "11.4", POLYGRAPHY, timing_cache=cache)[7:] == (
        *("--load-timing-cache", "t.cache", "--save-timing-cache", "t.cache", *DETAILED),
    )


def test_a_name_that_begins_as_an_option_does_is_none_for_polygraphy(yolo):
    spec, toolchain = yolo(path="-m.onnx", quantized=False), named("8.6")
    options = BuildOptions(
        program=POLYGRAPHY, route=Route.CALIBRATED, calibration_cache=Path("-c"), timing_cache=Path("-t")
    )

    assert make_plan(spec, default(spec), toolchain, Path("-out/yolo.plan"), options).command.argv == (
        *("polygraphy", "convert", "./-m.onnx", "--convert-to", "trt", "-o", "./-out/yolo.plan", "--int8", "--fp16"),
        *("--calibration-cache", "./-c", "--load-timing-cache", "./-t", "--save-timing-cache", "./-t", *DETAILED),
    )


def test_tensorrt_for_rtx_is_switched_on_in_the_environment_and_told_the_gpus(yolo):
    toolchain = named("1.7", kind=ToolchainKind.RTX)
    options = BuildOptions(compute_capabilities=("7.5", "8.9"))

    command = make_plan(yolo(), default(yolo()), toolchain, ENGINE, options).command

    assert command.env == {"POLYGRAPHY_USE_TENSORRT_RTX": "1"}
    assert command.argv[7:] == ("--compute-capabilities", "7.5", "8.9", *DETAILED)
    assert shell_line(command) == (
        "POLYGRAPHY_USE_TENSORRT_RTX=1 polygraphy convert yolo.onnx --convert-to trt -o out/yolo.plan "
        "--compute-capabilities 7.5 8.9 --profiling-verbosity detailed"
    )


def test_turing_is_named_by_itself_when_it_is_the_gpu_here(yolo):
    turing = named("1.7", kind=ToolchainKind.RTX, compute_capability="7.5")

    assert argv(yolo(), turing, POLYGRAPHY)[7:] == ("--compute-capabilities", "7.5", *DETAILED)


@pytest.mark.parametrize(
    ("program", "words"),
    [(TRTEXEC, ("--profilingVerbosity=none",)), (POLYGRAPHY, ("--profiling-verbosity", "none"))],
)
def test_an_engine_keeps_what_its_layers_are_unless_another_verbosity_is_asked_for(yolo, program, words):
    """trtexec stops at an option that is there twice."""
    line = argv(yolo(), "10.16", program, extra=words)

    assert line[-len(words) :] == words
    assert sum(word.startswith(words[0].partition("=")[0]) for word in line) == 1


LAYERS = ("/model.0/conv/Conv", "/model.1/conv/Conv")
OBEYED = "--precisionConstraints=obey"


@pytest.mark.parametrize("release", ["8.5", "8.6", "9.3", "10.16"])
@pytest.mark.parametrize(
    ("program", "words"),
    [
        (TRTEXEC, (OBEYED, f"--layerPrecisions={LAYERS[0]}:fp16,{LAYERS[1]}:fp16")),
        (
            POLYGRAPHY,
            (*("--precision-constraints", "obey", "--layer-precisions"), *(f"{each}:float16" for each in LAYERS)),
        ),
    ],
)
def test_layers_that_have_a_scale_and_stay_in_float_are_named_to_the_builder(yolo, release, program, words):
    cache = {"route": Route.CALIBRATED, "calibration_cache": Path("yolo.cache")}

    line = argv(yolo(quantized=False), release, program, float_layers=LAYERS, **cache)

    assert [word for word in line if word not in argv(yolo(quantized=False), release, program, **cache)] == list(words)


def test_what_the_user_says_of_layers_comes_first_and_a_name_that_trtexec_would_split_is_left_out(yolo):
    cache = {
        "route": Route.CALIBRATED,
        "calibration_cache": Path("yolo.cache"),
        "float_layers": ("a:b", "c,d", "e", "it's"),
    }

    assert "--layerPrecisions=a:b:fp16,e:fp16" in argv(yolo(quantized=False), "8.6", TRTEXEC, **cache)
    assert OBEYED not in argv(yolo(quantized=False), "8.6", TRTEXEC, extra=("--layerPrecisions=*:fp16",), **cache)


def test_programs_that_were_found_are_called_by_their_path(yolo):
    here = evolve(named("8.6"), trtexec=Path("/opt/trt/bin/trtexec"), polygraphy_path=Path("/env/bin/polygraphy"))

    assert argv(yolo(), here, None)[0] == "/opt/trt/bin/trtexec"
    assert argv(yolo(), here, POLYGRAPHY)[0] == "/env/bin/polygraphy"


def test_what_is_printed_is_quoted_for_a_shell(yolo):
    spec = yolo(OPEN, path="my models/yolo's.onnx")

    line = shell_line(make_plan(spec, load("static-640"), named("11.4"), ENGINE).command)

    assert line.startswith("""polygraphy convert 'my models/yolo'"'"'s.onnx' --convert-to trt -o out/yolo.plan""")
    assert "--trt-min-shapes 'images:[1,3,640,640]'" in line


def test_the_plan_keeps_what_it_was_decided_from(yolo):
    spec, toolchain = yolo(OPEN), named("11.4")

    plan = make_plan(spec, load("batch-1-16"), toolchain, ENGINE)

    assert (plan.model, plan.toolchain, plan.engine) == (spec, toolchain, ENGINE)
    assert (plan.precision, plan.route) == (Precision.INT8, Route.QDQ)
    assert plan.profile.optimizations[0]["images"].max == (16, 3, 640, 640)
