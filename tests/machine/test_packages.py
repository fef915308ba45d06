import platform

import pytest

from polyyolo.machine import packages as subject
from polyyolo.machine.distributions import Wanted
from polyyolo.machine.finding import State
from polyyolo.machine.packages import look_at_packages, look_at_python


@pytest.fixture
def wanting(monkeypatch):
    def set_requirements(*names):
        monkeypatch.setattr(subject, "requirements", lambda _: [Wanted(name, "") for name in names])

    return set_requirements


def test_every_package_that_polyyolo_declares_is_here_and_imports():
    found = list(look_at_packages())

    assert {"attrs", "numpy", "onnx", "opencv-python", "polygraphy"} <= {each.name for each in found}
    assert [each for each in found if each.state is not State.FOUND] == []


def test_a_missing_package_comes_with_the_command_that_installs_it(wanting):
    wanting("a-package-of-nobody")

    (found,) = look_at_packages()

    assert (found.state, found.fix, found.blocks) == (State.MISSING, "pip install a-package-of-nobody", True)


def test_a_package_that_fails_to_import_says_why(wanting, packages):
    packages("onnxruntime", "1.20.0", module="raise ImportError('libcudart.so.12: no such file')")
    wanting("onnxruntime")

    (found,) = look_at_packages()

    assert found.state is State.FLAWED
    assert found.got == "1.20.0 cannot be imported: ImportError: libcudart.so.12: no such file"
    assert found.blocks


def test_a_library_of_the_system_is_not_mended_by_pip(wanting, packages):
    packages("onnxruntime", "1.20.0", module="raise ImportError('libGL.so.1: cannot open shared object file')")
    wanting("onnxruntime")

    (found,) = look_at_packages()

    assert found.fix == (
        "install that library with the system's packages: OpenCV's are in apt-get install libgl1 libglib2.0-0"
    )


def test_a_package_for_a_sideline_keeps_no_engine_from_being_built(wanting, packages):
    packages("pooch", "1.8.2", module="raise ImportError('torn')")
    wanting("pooch")

    (found,) = look_at_packages()

    assert (found.state, found.blocks, found.enables) == (State.FLAWED, False, "models by name, and sample pictures")


def test_a_module_is_known_where_it_has_another_name_than_its_package(wanting, packages):
    packages("opencv-python", "4.10")
    wanting("opencv-python")

    assert [each.state for each in look_at_packages()] == [State.FOUND]


@pytest.mark.parametrize("name", ["cv2-headless", "opencv-contrib-cv2"])
def test_whichever_package_gives_the_module_is_taken(wanting, packages, name):
    packages(name, "4.10", module="", gives="a_camera")
    wanting("a-camera")

    (found,) = look_at_packages()

    assert (found.name, found.state, found.got) == ("a-camera", State.FOUND, f"4.10 ({name})")


def test_a_stand_in_that_fails_to_import_is_named_in_the_command(wanting, packages):
    packages("a-camera-headless", "4.10", module="raise ImportError('torn')", gives="a_camera")
    wanting("a-camera")

    (found,) = look_at_packages()

    assert found.got == "4.10 (a-camera-headless) cannot be imported: ImportError: torn"
    assert found.fix == "pip install --force-reinstall a-camera-headless"


def test_a_module_that_pip_knows_nothing_of_is_taken_where_it_imports(wanting, tmp_path, packages):
    """As apt's python3-opencv."""
    packages("something-else", "1")
    (tmp_path / "site-packages" / "a_camera.py").touch()
    wanting("a-camera")

    assert [(each.state, each.got) for each in look_at_packages()] == [
        (State.FOUND, "of a version that pip does not know")
    ]


@pytest.mark.parametrize(("version", "state"), [("3.9.18", State.FLAWED), ("3.13.1", State.FOUND)])
def test_a_python_too_old_is_named(monkeypatch, version, state):
    monkeypatch.setattr(platform, "python_version", lambda: version)
    monkeypatch.setattr(platform, "python_version_tuple", lambda: tuple(version.split(".")))

    (found,) = look_at_python()

    assert found.state is state
    assert found.got.startswith(version)
