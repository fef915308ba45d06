"""Errors say whose turn it is, by their branch and their exit code."""

import pytest

from polyyolo import errors
from polyyolo.errors import InputError, PolyYoloError, ToolFailed


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("InputError", 2),
        ("ModelError", 2),
        ("ProfileError", 2),
        ("PictureError", 2),
        ("LabelError", 2),
        ("TableError", 2),
        ("ToolchainError", 3),
        ("ToolFailed", 4),
    ],
)
def test_every_branch_has_its_exit_code(name, code):
    assert getattr(errors, name)("happened", fix="do").exit_code == code


def test_the_tree_in_the_docstring_is_the_tree():
    classes = {name: found for name, found in vars(errors).items() if isinstance(found, type)}
    ours = {name for name, found in classes.items() if issubclass(found, PolyYoloError)}

    assert all(name in errors.__doc__ for name in ours)
    assert {name for name in ours if issubclass(classes[name], InputError)} == ours - {
        "PolyYoloError",
        "ToolchainError",
        "ToolFailed",
    }


def test_an_error_keeps_what_happened_apart_from_what_to_do():
    error = InputError("3 is too few", fix="give 4")

    assert (str(error), error.message, error.fix) == ("3 is too few", "3 is too few", "give 4")


def test_a_failed_tool_keeps_its_command():
    error = ToolFailed("failed", argv=["trtexec", "--int8"], status=-9, tail="last words")

    assert (error.argv, error.status, error.tail, error.log_path) == (("trtexec", "--int8"), -9, "last words", None)
