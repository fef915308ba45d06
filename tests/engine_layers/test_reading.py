"""trtexec's files, whole and broken."""

import json

import pytest

from polyyolo.engine_layers.reading import read_layers, read_profile
from polyyolo.errors import InputError

LAYER = {"Name": "conv", "LayerType": "CaskConvolution", "Inputs": [], "Outputs": []}


def test_a_real_export_of_8_6_is_read_with_the_control_characters_in_its_metadata(exports):
    layers = read_layers(exports / "s_qdq.layers.json")

    conv = layers[8]
    assert len(layers) == 120
    assert conv.nodes == ("/model.0/conv/Conv", "/model.0/act/Sigmoid", "/model.0/act/Mul")
    assert (conv.kind, conv.precision, conv.weights, conv.is_int8) == ("CaskConvolution", "INT8", "INT8", True)
    assert [str(tensor) for tensor in (*conv.inputs, *conv.outputs)] == ["INT8 NC/32HW32"] * 2


def test_an_export_of_tensorrt_11_is_read(tmp_path):
    path = tmp_path / "layers.json"
    tensor = {"Name": "a", "Dimensions": [1, 3, 8, 8], "Datatype": "Int8", "Format": "Row major linear INT8 format"}
    layer = {**LAYER, "Inputs": [tensor], "Outputs": [{**tensor, "Datatype": "Half", "Format": ""}], "Metadata": ""}
    path.write_text(json.dumps({"Layers": [layer], "I/O Tensors": [{"Name": "a", "IOMode": "Input"}]}))

    [read] = read_layers(path)

    assert (str(read.inputs[0]), str(read.outputs[0]), read.nodes) == ("INT8 NCHW", "FP16", ("conv",))


def test_times_are_medians_of_a_real_profile(exports):
    times = read_profile(exports / "s_qdq.profile.json")

    assert len(times) == 120
    assert times["images_QuantizeLinear"] == pytest.approx(0.006624)


def test_a_profile_with_quotes_in_names_and_no_number_is_read_line_by_line(tmp_path):
    path = tmp_path / "profile.json"
    path.write_text(
        '[\n  { "count" : 9 }\n'
        ', { "name" : "a "quoted" one", "timeMs" : 9, "averageMs" : 1.5, "medianMs" : 1.25, "percentage" : 50 }\n'
        ', { "name" : "b", "timeMs" : nan, "averageMs" : nan, "medianMs" : nan, "percentage" : nan }\n'
        ', { "name" : "old", "timeMs" : 9, "averageMs" : 0.5, "percentage" : 50 }\n]\n'
    )

    assert read_profile(path) == {'a "quoted" one': 1.25, "b": None, "old": 0.5}


def test_a_median_of_nothing_is_a_time_and_a_number_beyond_all_floats_is_none(tmp_path):
    path = tmp_path / "profile.json"
    path.write_text(
        json.dumps(
            [
                {"name": "idle", "averageMs": 0.5, "medianMs": 0},
                {"name": "huge", "averageMs": 10**400},
                {"name": "untold", "averageMs": None},
            ]
        )
    )

    assert read_profile(path) == {"idle": 0.0, "huge": None, "untold": None}


@pytest.mark.parametrize(
    ("text", "told", "fix"),
    [
        ('{"Layers": [{"Name": "conv", "LayerTy', "is damaged", "--exportLayerInfo"),
        ("", "is damaged", "--exportLayerInfo"),
        ("[" * 100_000, "is damaged", "--exportLayerInfo"),
        ('{"images": 3}', 'no list "Layers"', "--exportLayerInfo"),
        ("42", 'no list "Layers"', "--exportLayerInfo"),
        ('[{"name": "conv", "timeMs": 3}]', 'without a "LayerType"', "--exportLayerInfo"),
        ('{"Layers": [], "Bindings": []}', "tells of no layer", "detailed"),
        ('{"Layers": ["conv", "pool"], "Bindings": ["x"]}', "names of 2 layers and nothing else", "detailed"),
    ],
)
def test_what_is_no_layer_information_is_refused_with_how_to_get_it(tmp_path, text, told, fix):
    path = tmp_path / "layers.json"
    path.write_text(text)

    with pytest.raises(InputError, match=told) as error:
        read_layers(path)

    assert fix in error.value.fix


@pytest.mark.parametrize(
    "text", ["", "[1, 2]", '{"Layers": []}', '[{"count": 3}]', '[\n, { "name" : "a", "averageMs" : 1,']
)
def test_what_is_no_profile_is_refused_with_how_to_get_it(tmp_path, text):
    path = tmp_path / "profile.json"
    path.write_text(text)

    with pytest.raises(InputError) as error:
        read_profile(path)

    assert "--exportProfile" in error.value.fix


@pytest.mark.parametrize("read", [read_layers, read_profile])
def test_a_file_that_is_not_there_is_named(tmp_path, read):
    with pytest.raises(InputError, match=r"none\.json"):
        read(tmp_path / "none.json")
