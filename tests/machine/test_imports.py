import pytest

from polyyolo.machine import imports
from polyyolo.machine.imports import flaws


@pytest.mark.parametrize(
    ("body", "flaw"),
    [
        ("", ""),
        ("print('{\"ended\": 5}'); print('[]'); print(7)", ""),
        ("raise ImportError('libGL.so.1: cannot open shared object file')", "ImportError: libGL.so.1"),
        ("import a_module_that_nobody_has", "ModuleNotFoundError: No module named 'a_module_that_nobody_has'"),
        ("raise SystemExit(3)", "SystemExit: 3"),
        ("raise ValueError('two\\nlines')", "ValueError: two lines"),
        ("import os; os.abort()", "it was killed by signal 6"),
        ("import os; os._exit(0)", "the process that imports it ended without a word"),
        ("import os; os._exit(9)", "it ended with status 9"),
        ("this is no Python", "SyntaxError"),
    ],
)
def test_what_an_import_does_is_one_line_and_those_after_it_are_tried(packages, body, flaw):
    packages("strange", "1", module=body)

    found = flaws(["json", "strange", "csv"])

    assert found["json"] == found["csv"] == ""
    assert found["strange"].startswith(flaw) if flaw else not found["strange"]
    assert "\n" not in found["strange"]


def test_an_import_that_hangs_is_given_up(packages, monkeypatch):
    monkeypatch.setattr(imports, "PATIENCE_S", 1.0)
    packages("strange", "1", module="import time; time.sleep(60)")

    assert flaws(["strange", "json"]) == {"strange": "no answer within 1 s", "json": ""}


def test_without_a_python_to_ask_every_import_says_so(monkeypatch):
    monkeypatch.setattr("sys.executable", "/nowhere/python")

    found = flaws(["json", "csv"])

    assert ["does not start" in flaw for flaw in found.values()] == [True, True]


def test_a_file_in_the_current_folder_is_no_package(tmp_path, monkeypatch):
    (tmp_path / "yaml.py").write_text("raise ImportError")
    monkeypatch.chdir(tmp_path)

    assert flaws(["yaml"]) == {"yaml": ""}
