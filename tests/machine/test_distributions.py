import pytest
from hypothesis import given
from hypothesis import strategies as st

from polyyolo.installed import normal, versions
from polyyolo.machine.distributions import Wanted, installed, requirements


@given(st.lists(st.text("abcXYZ019", min_size=1), min_size=1), st.sampled_from("-_."))
def test_a_name_is_the_same_however_it_is_spelt(parts, joint):
    assert normal(joint.join(parts)) == normal("__".join(parts).upper()) == "-".join(parts).lower()


def test_versions_are_read_by_normalised_name(packages):
    packages("Strange.Name", "1.2rc1")

    assert versions()["strange-name"] == "1.2rc1"


def test_a_package_itself_comes_before_those_that_give_its_module_too(packages):
    packages("Strange_Headless", "1", gives="strange")
    packages("strange", "2")

    assert installed().givers_of("strange") == ("strange", "strange-headless")
    assert installed().giver_of("a-package-of-nobody") == ""


def test_what_holds_elsewhere_or_with_an_extra_is_not_wanted(packages):
    lines = ["numpy>=1.26", "pywin32; sys_platform == 'win32'", "ray; extra == 'sweep'", "what (is this", "rich"]
    packages("strange", "1", lines)

    assert list(requirements("strange")) == [Wanted("numpy", ">=1.26"), Wanted("rich", "")]
    assert Wanted("ray", "") in requirements("strange", "sweep")


@pytest.mark.parametrize(("version", "takes"), [("1.25", False), ("1.26", True), ("2.0rc1", True), ("2.1", False)])
def test_a_version_is_held_against_the_range(version, takes):
    assert Wanted("numpy", ">=1.26,<2.1").takes(version) is takes
