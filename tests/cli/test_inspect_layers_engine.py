"""polyyolo inspect layers ENGINE|layers.json, as it is typed."""

import json
import re
import shutil
import sys
from functools import partial

import pytest


@pytest.fixture
def told(polyyolo, monkeypatch):
    """Run ``polyyolo inspect layers``; gives exit code, standard output and standard error."""
    monkeypatch.setenv("COLUMNS", "220")
    return partial(polyyolo, "inspect", "layers")


@pytest.fixture
def files(shared):
    """Layers and profile of an engine, as trtexec 8.6.0 exported them."""
    folder = shared / "fixtures" / "trtexec-8.6.0"
    return lambda name: (folder / f"{name}.layers.json", folder / f"{name}.profile.json")


def test_a_real_export_is_a_table_with_times_and_its_sum(told, files):
    layers, profile = files("s_qdq")

    code, out, _ = told(layers, "--profile", profile)

    rows = [[cell.strip() for cell in line.strip("│").split("│")] for line in out.splitlines() if line.startswith("│")]
    assert code == 0
    assert rows[2] == [
        "/model.0/conv/Conv +2",
        "CaskConvolution",
        "INT8 NC/32HW32",
        "INT8 NC/32HW32",
        "40.8",
        "5.0%",
        "",
    ]
    assert out.splitlines()[-7:] == [
        "INT8: 82.4% of the time of computing; 60 of 60 convolutions and matrix products",
        "moves, quantize: 1, 6.6 us (0.8%)",
        "moves, type or layout: 1, 20.3 us (2.5%)",
        "moves, copy into a Concat: 14, 72.5 us (8.9%)",
        "moves, requantize: 2, 12.0 us (1.5%)",
        "in float, decode: 21",
        "814.3 us for all layers one by one; a CUDA graph needs less",
    ]


@pytest.fixture
def odd(tmp_path):
    """Write an export of one layer, which reads a and writes b."""

    def write(**layer):
        path = tmp_path / "layers.json"
        entry = {"LayerType": "Convolution", "Inputs": [{"Name": "a"}], "Outputs": [{"Name": "b"}], **layer}
        path.write_text(json.dumps({"Layers": [entry]}))
        return path

    return write


def test_words_of_an_export_are_shown_as_they_are_whatever_they_mean_to_a_terminal(told, odd):
    path = odd(Name="\ud800x[/bold]\x1b[2J", LayerType="[/red]\ud800")

    code, out, _ = told(path)
    compared, _, err = told(path, "--against", path)

    assert (code, compared, err) == (0, 0, "")
    assert "?x[/bold]?[2J" in out
    assert "[/red]?" in out


def test_a_layer_without_a_name_is_compared_too(told, odd):
    path = odd(Name="")

    code, out, _ = told(path, "--against", path)

    assert (code, out.splitlines()[-1]) == (0, "0 of 1 parts differ")


def test_layers_without_time_are_listed_when_asked_for(told, files):
    layers, profile = files("s_qdq")

    few, every = (told(layers, "--profile", profile, *more)[1].count("\n│") for more in ((), ("--all",)))

    assert (few, every) == (111, 120)


def test_two_engines_are_compared_part_by_part(told, files):
    one, other = files("s_int8fp16"), files("s_qdq")

    code, out, _ = told(one[0], "--profile", one[1], "--against", other[0], "--against-profile", other[1])

    assert code == 0
    first = [cell.strip() for cell in next(line for line in out.splitlines() if line.startswith("│")).split("│")]
    assert first[1:2] + first[4:6] == ["/model.0/conv/Conv", "33.0 / 67.7", "+34.7"]
    assert out.splitlines()[-1] == "11 of 80 parts differ; together the second takes +32.5 us"


def test_json_has_layers_sums_and_changes(told, files):
    one, other = files("s_int8fp16"), files("s_qdq")

    found = json.loads(told(one[0], "--profile", one[1], "--against", other[0], "--json")[1])

    assert len(found["layers"]) == 122
    assert found["layers"][7]["inputs"] == ["FP16 NHWC4"]
    assert found["moves"][1] | {"time_ms": 0} == {"purpose": "copy into a Concat", "count": 18, "time_ms": 0}
    assert len(found["changes"]) == 80


def test_the_plot_is_an_svg_with_a_bar_a_layer(told, files, tmp_path):
    layers, profile = files("s_qdq")

    told(layers, "--profile", profile, "--plot", tmp_path / "layers.svg")

    svg = (tmp_path / "layers.svg").read_text()
    assert svg.startswith("<?xml")
    assert len(re.findall("fill: #8a8f98", svg)) == 18 + 1, "14 copies, 4 conversions, and the legend"


@pytest.mark.parametrize("lost", ["layers", "profile", "log", "against", "against-profile"])
def test_the_plot_never_takes_the_place_of_what_is_read(told, files, tmp_path, lost):
    (layers, profile), place = files("s_qdq"), tmp_path / "lost.json"
    given = {"layers": layers, "profile": profile, "log": profile, "against": layers, "against-profile": profile}
    shutil.copy(given[lost], place)
    first, *options = ({**given, lost: place}).items()

    code, out, err = told(first[1], *(word for name, path in options for word in (f"--{name}", path)), "--plot", place)

    assert (code, out) == (2, "")
    assert f"{place} itself, which would be lost" in err
    assert place.read_bytes() == given[lost].read_bytes()


@pytest.mark.parametrize("front", [b"", b"\x02\0\0\0{}"], ids=["bare", "with Ultralytics' metadata"])
@pytest.mark.parametrize("name", ["yolo.plan", "yolo.bin"])
def test_an_engine_without_a_gpu_exits_3_with_the_command_for_where_there_is_one(
    front, name, told, tmp_path, monkeypatch
):
    monkeypatch.setitem(sys.modules, "tensorrt", None)
    (tmp_path / name).write_bytes(front + b"ftrt" + bytes(60))

    code, out, err = told(tmp_path / name)

    assert (code, out) == (3, "")
    assert "or, where it runs: trtexec --loadEngine=" in err


@pytest.mark.parametrize(
    ("words", "told_of"),
    [
        (("--size", "64", "64"), "--size is for models"),
        (("--keep-float", "none"), "--keep-float is for models"),
        (("--against-profile", "x.json"), "--against-profile needs --against"),
        (("--against", "none.json"), "none.json"),
        (("--log", "none.log"), "none.log"),
    ],
)
def test_what_does_not_go_together_exits_2(told, files, words, told_of):
    code, out, err = told(files("s_qdq")[0], *words)

    assert (code, out) == (2, "")
    assert told_of in err
    assert "fix: " in err


def test_options_of_engines_are_refused_for_a_model(told, little_yolo):
    code, _, err = told(little_yolo, "--plot", "x.svg")

    assert code == 2
    assert "--plot is for engines" in err
