"""Polygraphy loads the plugin for every command: it must cost nothing."""

import subprocess
import sys
from importlib.metadata import entry_points

import polyyolo.plugin

WEIGHTY = (
    "attrs",
    "cattrs",
    "cv2",
    "numpy",
    "onnx",
    "onnxruntime",
    "matplotlib",
    "polyyolo.records",
    "polyyolo.loader",
)


def test_polygraphy_finds_the_plugin_by_its_entry_point():
    found = [each for each in entry_points(group="polygraphy.run.plugins") if each.name == "polyyolo"]

    assert [each.load() for each in found] == [polyyolo.plugin.argument_groups]


def test_it_imports_nothing_heavy_before_one_of_its_options_is_used():
    code = (
        "import sys, polygraphy.tools.run.run\nbefore = set(sys.modules)\n"
        "import polyyolo.plugin\npolyyolo.plugin.argument_groups()\n"
        "print(*sorted(set(sys.modules) - before))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert set(done.stdout.split()) & set(WEIGHTY) == set()
    assert all(name.partition(".")[0] == "polyyolo" for name in done.stdout.split())
