"""Scales from anywhere into a table and into Q/DQ, and a table into a cache."""

import onnx
import pytest
from attrs import evolve

from polyyolo.calibration import cache_file, cache_manifest
from polyyolo.calibration.exchange import to_table
from polyyolo.errors import InputError, ModelError, TableError
from polyyolo.models.spec import load, read_spec
from polyyolo.quantization.cache_exchange import Header, export_cache, fitted, import_scales
from polyyolo.quantization.placement import NAMED, FloatBudget
from polyyolo.quantization.quantize import cast_to_half, placement_of, quantize
from polyyolo.records import Preprocessing

WHOLE = FloatBudget()
SMALL = Preprocessing((64, 64))


@pytest.fixture
def little(little_yolo):
    return read_spec(little_yolo)


@pytest.fixture
def table(little):
    observed = placement_of(little, (64, 64), WHOLE).observed
    return to_table({name: 1.0 + number for number, name in enumerate(observed)}, little, SMALL)


def test_tensorrts_cache_becomes_a_table_without_head_and_decode(shared, models):
    spec = read_spec(models / "yolov5s-640.onnx")
    fixture = shared / "fixtures/trtexec-8.6.0/yolov5s.entropy2.cache"

    found = import_scales(fixture, spec, Preprocessing((640, 640)))

    assert (len(found.table.ranges), found.missing, found.renamed) == (197, (), 0)
    assert found.table.amax("images") == pytest.approx(0.96118, abs=1e-5)
    assert not [name for name in found.table.ranges if "/model.24/" in name]


def test_a_cache_becomes_a_qdq_model_with_its_scales(little, table, tmp_path):
    filled, placement = fitted(table, little, (64, 64), WHOLE)
    export_cache(filled, little, placement, tmp_path / "yolo.cache", Header("10.3"))

    found = import_scales(tmp_path / "yolo.cache", little, SMALL)
    filled, placement = fitted(found.table, little, (64, 64), WHOLE)
    made = quantize(little, filled, placement, tmp_path / "int8.onnx")

    scales = {tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in load(made.path).graph.initializer}
    tied = max(table.amax(name) for name in ("p4", "joined", "top") if name in table.ranges)
    assert scales["joined_scale"] * 127 == pytest.approx(tied, rel=1e-3)
    assert scales["images_scale"] * 127 == pytest.approx(1.0, rel=1e-3)


def test_a_qdq_model_and_the_cache_of_the_same_table_say_the_same(little, table, tmp_path):
    filled, placement = fitted(table, little, (64, 64), WHOLE)
    quantize(little, filled, placement, tmp_path / "int8.onnx")
    export_cache(filled, little, placement, tmp_path / "yolo.cache", Header("8.6"))
    cache = cache_file.read(tmp_path / "yolo.cache")

    found = import_scales(tmp_path / "int8.onnx", little, SMALL)

    same = {name: cache.amax(name) for name in found.table.ranges}
    assert {name: found.table.amax(name) for name in same} == pytest.approx(same, rel=2e-3)


def test_nodes_without_a_range_stay_in_float_and_shared_scales_are_filled_in(little, table):
    known = {name: by_method for name, by_method in table.ranges.items() if name not in ("images", "joined", "middle")}

    filled, placement = fitted(evolve(table, ranges=known), little, (64, 64), WHOLE)

    assert {name for name, why in placement.in_float.items() if why == NAMED} == {"stem_conv", "middle_conv"}
    assert "images" not in filled.ranges


def test_floats_near_the_image_do_not_add_up_when_scales_wander(little, table):
    """What a Q/DQ model left in float is that share already; another share on top would lose speed."""
    budget = FloatBudget(stem=0.25)
    first = placement_of(little, (64, 64), budget)
    known = {
        name: ranges for name, ranges in table.ranges.items() if name not in set(first.observed) - set(first.tensors)
    }

    _, placement = fitted(evolve(table, ranges=known), little, (64, 64), budget)

    assert placement.nodes == first.nodes


def test_the_manifest_tells_what_the_cache_was_made_with(little, table, tmp_path):
    measured = evolve(table, pictures=24, set_sha256="c" * 64, method="imported")
    filled, placement = fitted(measured, little, (64, 64), WHOLE)

    export_cache(filled, little, placement, tmp_path / "yolo.cache", Header("8.6"))

    told = cache_manifest.read(tmp_path / "yolo.cache")
    assert (told.model_sha256, told.set_sha256, told.preprocessing) == (little.sha256, "c" * 64, SMALL)
    assert (told.pictures, told.batches, told.promised, told.method) == (24, 24, 24, "imported")
    assert cache_file.read(tmp_path / "yolo.cache").version == 8600


def test_what_the_manifest_knows_of_the_preprocessing_goes_into_the_table(little, table, tmp_path):
    filled, placement = fitted(evolve(table, preprocessing=evolve(SMALL, pad=0)), little, (64, 64), WHOLE)
    export_cache(filled, little, placement, tmp_path / "yolo.cache", Header("8.6"))

    assert import_scales(tmp_path / "yolo.cache", little, SMALL).table.preprocessing.pad == 0


def test_a_table_of_another_model_is_refused(little, table, tmp_path):
    _, placement = fitted(table, little, (64, 64), WHOLE)

    with pytest.raises(TableError, match="belongs to model ffffffffffff"):
        export_cache(evolve(table, model_sha256="f" * 64), little, placement, tmp_path / "yolo.cache", Header("8.6"))

    assert list(tmp_path.iterdir()) == []


def test_without_its_manifest_no_cache_is_written(little, table, tmp_path):
    filled, placement = fitted(table, little, (64, 64), WHOLE)
    (tmp_path / "yolo.cache.json").mkdir()

    with pytest.raises(InputError, match=r"yolo\.cache\.json is a folder"):
        export_cache(filled, little, placement, tmp_path / "yolo.cache", Header("8.6"))

    assert [path.name for path in tmp_path.iterdir()] == ["yolo.cache.json"]


@pytest.mark.parametrize("source", ["yolo.cache", "int8.onnx"])
def test_scales_are_for_models_that_have_none(little, table, tmp_path, source):
    filled, placement = fitted(table, little, (64, 64), WHOLE)
    export_cache(filled, little, placement, tmp_path / "yolo.cache", Header("8.6"))
    made = quantize(little, filled, placement, tmp_path / "int8.onnx")
    half = cast_to_half(little, tmp_path / "half.onnx")
    (tmp_path / "yolo.cache.json").unlink()

    with pytest.raises(ModelError, match=r"int8\.onnx holds Q/DQ nodes itself"):
        import_scales(tmp_path / source, made, SMALL)
    with pytest.raises(ModelError, match=r"half\.onnx holds FP16"):
        import_scales(tmp_path / source, half, SMALL)


def test_layers_in_float_have_scales_and_are_named_in_the_manifest(little, table, tmp_path):
    filled, placement = fitted(table, little, (64, 64), evolve(WHOLE, names=("down1_conv",)))

    manifest = export_cache(filled, little, placement, tmp_path / "yolo.cache", Header("8.6"))

    scales = cache_file.read(tmp_path / "yolo.cache").scales
    assert {"stem", "down1_conv", "down1"} <= set(scales), "TensorRT 8.6 builds no convolution and SiLU without them"
    assert manifest.float_layers == ("node_of_down1_conv",), "as TensorRT's parser calls a node without a name"
    assert cache_manifest.read(tmp_path / "yolo.cache") == manifest


def test_other_algorithms_are_no_reason_to_refuse_scales(little, table, tmp_path):
    filled, placement = fitted(table, little, (64, 64), WHOLE)
    export_cache(filled, little, placement, tmp_path / "minmax.cache", Header("8.6", "MinMaxCalibration"))

    assert import_scales(tmp_path / "minmax.cache", little, SMALL).table.amax("images") == pytest.approx(1.0)


def test_a_stale_cache_is_refused(little, table, tmp_path):
    filled, placement = fitted(table, little, (64, 64), WHOLE)
    export_cache(filled, little, placement, tmp_path / "yolo.cache", Header("8.6"))
    manifest = cache_manifest.read(tmp_path / "yolo.cache")
    cache_manifest.write(evolve(manifest, model_sha256="f" * 64), tmp_path / "yolo.cache")

    with pytest.raises(TableError, match="it is stale"):
        import_scales(tmp_path / "yolo.cache", little, SMALL)
