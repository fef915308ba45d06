"""Words that go to the builder as they are."""

import pytest

from polyyolo.engines.plan import BuildOptions, Program, make_plan
from polyyolo.engines.profiles import default
from polyyolo.engines.toolchain import named
from polyyolo.errors import InputError

TRTEXEC, POLYGRAPHY = Program.TRTEXEC, Program.POLYGRAPHY


@pytest.fixture
def argv(yolo, tmp_path):
    """Plan a build of a Q/DQ model with TensorRT 8.6."""

    def plan(program, *extra, **options):
        asked = BuildOptions(program=program, extra=extra, **options)
        return make_plan(yolo(), default(yolo()), named("8.6"), tmp_path / "yolo.plan", asked).command.argv

    return plan


@pytest.mark.parametrize(
    ("program", "extra"),
    [
        (TRTEXEC, ("--noTF32", "--builderOptimizationLevel=5")),
        (POLYGRAPHY, ("--no-tf32", "--builder-optimization-level", "5")),
    ],
)
def test_they_stand_behind_ours_and_untouched(argv, program, extra):
    assert argv(program, *extra) == (*argv(program), *extra)


@pytest.mark.parametrize(
    ("program", "word", "fix"),
    [
        (TRTEXEC, "--saveEngine=other.plan", "-o"),
        (TRTEXEC, "--skipInference", "leave it out"),  # trtexec refuses what is told twice
        (TRTEXEC, "--onnx=other.onnx", "MODEL"),
        (TRTEXEC, "--int8", "--precision"),
        (TRTEXEC, "--best", "--precision"),
        (TRTEXEC, "--calib=x.cache", "--calib"),
        (TRTEXEC, "--optShapes=images:1x3x640x640", "--profile"),
        (POLYGRAPHY, "-o", "-o"),
        (POLYGRAPHY, "--calibration-cache", "--calib"),
        (POLYGRAPHY, "--trt-opt-shapes", "--profile"),
        (POLYGRAPHY, "--compute-capabilities", "--compute-capability"),
        (POLYGRAPHY, "--outpu", "-o"),  # Polygraphy takes the beginning of an option for the whole
        (POLYGRAPHY, "--outp=other.plan", "-o"),
        (POLYGRAPHY, "-oother.plan", "-o"),
    ],
)
def test_what_would_change_the_plan_is_refused(argv, program, word, fix):
    with pytest.raises(InputError, match="would change what polyyolo decides") as error:
        argv(program, word)

    assert fix in error.value.fix


@pytest.mark.parametrize(
    ("program", "extra"),
    [
        (TRTEXEC, ("--save",)),  # trtexec knows whole options alone
        (POLYGRAPHY, ("--",)),
        (POLYGRAPHY, ("--trt-outputs", "output0")),
        (POLYGRAPHY, ("--data-loader-backend-module", "numpy")),
    ],
)
def test_what_only_resembles_such_an_option_is_passed_on(argv, program, extra):
    assert argv(program, *extra)[-len(extra) :] == extra


@pytest.mark.parametrize(
    ("program", "word", "spelt"),
    [
        (TRTEXEC, "--memPoolSize=workspace:64", ("--memPoolSize=workspace:512",)),
        (TRTEXEC, "--workspace=64", ("--memPoolSize=workspace:512",)),
        (POLYGRAPHY, "--pool-limit", ("--pool-limit", "workspace:512M")),
        (POLYGRAPHY, "--pool", ("--pool-limit", "workspace:512M")),
        (POLYGRAPHY, "--memory-pool-limit", ("--pool-limit", "workspace:512M")),
    ],
)
def test_a_workspace_is_spelt_for_each_program_and_not_twice(argv, program, word, spelt):
    assert set(spelt) <= set(argv(program, workspace_mib=512))
    with pytest.raises(InputError, match="is set by --workspace already"):
        argv(program, word, workspace_mib=512)


def test_without_a_workspace_the_builders_own_pools_can_be_set(argv):
    assert argv(TRTEXEC, "--memPoolSize=workspace:64")[-1] == "--memPoolSize=workspace:64"


def test_the_word_of_one_program_is_no_word_of_the_other(argv):
    assert argv(POLYGRAPHY, "--best")[-1] == "--best", "Polygraphy itself says that it does not know it"
