import pytest

from polyyolo.machine import fit
from polyyolo.machine.finding import State
from polyyolo.machine.fit import look_at_versions


@pytest.fixture
def product(packages, monkeypatch):
    """Let a package by hand be the one whose needs are followed; the builders here are left out."""
    monkeypatch.setattr(fit, "DISTRIBUTION", "product")
    monkeypatch.setattr(fit, "BUILDERS", ("tensorrt",))

    def install(*requires):
        packages("product", "1", requires)

    return install


def told():
    return {each.name: (each.state, each.got, each.fix) for each in look_at_versions()}


def test_versions_that_fit_are_one_line(product, packages):
    packages("one", "1.5", ["two<3"])
    packages("two", "2.9", ["one"])
    product("one>=1.5")

    found = told()

    assert [state for state, _, _ in found.values()] == [State.FOUND]


def test_a_version_too_old_is_named_with_who_needs_it_and_the_command(product, packages):
    packages("one", "1.4")
    product("one>=1.5")

    assert told() == {
        "one": (State.FLAWED, "product needs one>=1.5, but 1.4 is installed", "pip install 'one>=1.5'"),
    }


def test_what_a_package_below_needs_is_followed(product, packages):
    packages("one", "1.5", ["two>=3", "three"])
    packages("two", "2.9")
    product("one")

    assert told() == {
        "two": (State.FLAWED, "one needs two>=3, but 2.9 is installed", "pip install 'two>=3'"),
        "three": (State.MISSING, "one needs three, which is not installed", "pip install 'three'"),
    }


def test_a_builder_older_than_its_extra_asks_for_is_named(product, packages):
    packages("tensorrt", "8.5.3")
    product("tensorrt>=8.6; extra == 'tensorrt'")

    assert told()["tensorrt"][1] == "product needs tensorrt>=8.6, but 8.5.3 is installed"


def test_a_package_that_stands_in_for_another_is_held_against_the_range(product, packages):
    packages("one-headless", "1.4", ["two"], gives="one")
    product("one>=1.5")

    assert told() == {
        "one": (
            State.FLAWED,
            "product needs one>=1.5, but one-headless 1.4 is installed",
            "pip install 'one-headless>=1.5'",
        ),
        "two": (State.MISSING, "one-headless needs two, which is not installed", "pip install 'two'"),
    }


def test_what_others_need_may_be_stood_in_for(product, packages):
    packages("one", "1.5", ["two>=2"])
    packages("two-gpu", "2.1", gives="two")
    product("one")

    assert [state for state, _, _ in told().values()] == [State.FOUND]


def test_two_packages_that_write_to_one_folder_are_a_bad_pair(product, packages):
    packages("onnxruntime", "1.20.0")
    packages("onnxruntime-gpu", "1.19.0", gives="onnxruntime")
    product("onnxruntime")

    state, got, fix = told()["onnxruntime-gpu"]
    assert (state, got) == (State.FLAWED, "onnxruntime 1.20.0 and onnxruntime-gpu 1.19.0 write to the same folder")
    assert fix == "pip uninstall onnxruntime onnxruntime-gpu, then pip install onnxruntime"


@pytest.mark.parametrize(
    ("polygraphy", "tensorrt", "bad"),
    [("0.53.6", "11.4.0.106", True), ("0.53.6", "10.16.1", False), ("0.60.0", "11.4", False)],
)
def test_polygraphys_int8_and_tensorrt_11_are_a_bad_pair(product, packages, polygraphy, tensorrt, bad):
    packages("polygraphy", polygraphy)
    packages("tensorrt", tensorrt)
    product()

    assert ("polygraphy" in told()) is bad
