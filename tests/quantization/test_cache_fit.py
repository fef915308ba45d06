"""Whether a calibration cache may be used for a model, and what it is refused for."""

import numpy as np
import pytest
from attrs import evolve

from polyyolo import progress
from polyyolo.calibration import cache_file, cache_manifest
from polyyolo.calibration.cache_file import Cache
from polyyolo.calibration.exchange import to_table
from polyyolo.engines import toolchain
from polyyolo.errors import InputError, TableError
from polyyolo.images.lint import Severity
from polyyolo.models.spec import read_spec
from polyyolo.quantization.cache_exchange import Header, export_cache, fitted
from polyyolo.quantization.cache_fit import check, refuse_unfit
from polyyolo.quantization.cache_tensors import all_int8, to_measure, typed_graph
from polyyolo.quantization.placement import FloatBudget
from polyyolo.records import Preprocessing

TRT_8_6 = toolchain.named("8.6.1")


@pytest.fixture
def little(little_yolo):
    return read_spec(little_yolo)


@pytest.fixture
def path(little, tmp_path):
    """A whole cache for the little YOLO with its manifest, from a table of 16 pictures."""
    graph = typed_graph(little)
    every = dict.fromkeys(to_measure(graph, all_int8(graph)), 2.0)
    table = evolve(to_table(every, little, Preprocessing((64, 64))), method="mse", pictures=16, set_sha256="c" * 64)
    table = evolve(table, ranges={name: {"mse": 2.0} for name in every})
    table, placement = fitted(table, little, (64, 64), FloatBudget(0.0))
    export_cache(table, little, placement, tmp_path / "yolo.cache", Header("8.6"))
    return tmp_path / "yolo.cache"


def rewritten(path, **changes):
    """Change what a cache says, and keep its manifest true."""
    cache = evolve(cache_file.read(path), **changes)
    path.write_text("\n".join([f"TRT-{cache.version}-{cache.algorithm}", *map(line, cache.scales.items())]) + "\n")
    manifest = cache_manifest.read(path)
    cache_manifest.write(evolve(manifest, cache_sha256=cache_manifest.files.sha256_of(path)), path)
    return path


def line(entry):
    name, scale = entry
    return f"{name}: {np.float32(scale).view(np.uint32):x}"


def errors(path, spec, tensorrt=TRT_8_6):
    return [finding.message for finding in check(path, spec, tensorrt).errors]


def warnings(path, spec, tensorrt=TRT_8_6):
    findings = check(path, spec, tensorrt).findings
    return [finding.message for finding in findings if finding.severity is Severity.WARNING]


def test_our_own_cache_is_used_without_a_word(little, path):
    fitness = check(path, little, TRT_8_6)

    assert (fitness.findings, fitness.missing, fitness.extra, fitness.behind_head) == ((), (), (), ())
    assert (fitness.manifest.pictures, fitness.manifest.batches) == (16, 16)


def test_tensorrts_own_cache_is_used_with_what_is_doubtful_about_it(shared, models):
    fixture = shared / "fixtures/trtexec-8.6.0/yolov5s.entropy2.cache"

    told = warnings(fixture, read_spec(models / "yolov5s-640.onnx"))

    assert [message.partition(":")[0] for message in told] == [
        "/model.24/m.0/Conv_output_0 and 45 more",
        "no yolov5s.entropy2.cache.json beside it",
    ]


def test_another_models_cache_is_refused(shared, models):
    fixture = shared / "fixtures/trtexec-8.6.0/yolov5s.entropy2.cache"

    (told,) = errors(fixture, read_spec(models / "yolov8n-640.onnx"))

    assert told.startswith("it knows 57 of the 212 tensors that can run in INT8, and 184 of its 261 are not in the mod")


@pytest.mark.parametrize("algorithm", ["MinMaxCalibration", "EntropyCalibration", "LegacyCalibration"])
def test_other_algorithms_crash_trtexec_and_are_refused(little, path, algorithm):
    (told,) = errors(rewritten(path, algorithm=algorithm), little)

    assert told.startswith(f"its algorithm is {algorithm}, but builders read with EntropyCalibration2")


def test_another_major_version_is_refused_and_a_minor_one_warned_of(little, path):
    assert errors(path, little, toolchain.named("10.16"))[0].startswith("it was written by TensorRT 8.6, and 10.16 may")
    assert errors(path, little, toolchain.named("8.5")) == []
    assert warnings(path, little, toolchain.named("8.5")) == ["it was written by TensorRT 8.6, here is 8.5"]


def test_tensorrt_11_reads_no_cache_at_all(little, path):
    with pytest.raises(InputError, match="no INT8 calibrator"):
        check(path, little, toolchain.named("11.4"))


@pytest.mark.parametrize("scale", [float("inf"), float("nan"), -1.0])
def test_scales_that_are_none_are_refused(little, path, scale):
    scales = {**cache_file.read(path).scales, "stem": scale}

    assert errors(rewritten(path, scales=scales), little) == ["stem: negative, infinite or no number"]


@pytest.mark.parametrize("scale", [1e-12, 1e20])
def test_scales_that_no_activation_has_are_refused(little, path, scale):
    scales = {**cache_file.read(path).scales, "stem": scale}

    assert "no largest magnitude of an activation" in errors(rewritten(path, scales=scales), little)[0]


def test_a_scale_of_0_is_warned_of(little, path):
    scales = {**cache_file.read(path).scales, "stem": 0.0}

    assert warnings(rewritten(path, scales=scales), little) == [
        "stem: a scale of 0, so that everything there becomes 0"
    ]


def test_missing_and_extra_tensors_are_listed(little, path):
    scales = {name: scale for name, scale in cache_file.read(path).scales.items() if name not in ("stem", "p5")}

    fitness = check(rewritten(path, scales={**scales, "gone": 1.0, "(Unnamed Layer* 3) [Shuffle]_output": 1.0}), little)

    assert (fitness.missing, fitness.extra) == (("stem", "p5"), ("gone",))
    assert fitness.errors == ()


def test_a_model_that_changed_makes_a_cache_stale(little, path):
    manifest = cache_manifest.read(path)
    cache_manifest.write(evolve(manifest, model_sha256="f" * 64), path)

    assert errors(path, little) == [f"it is stale: made for model ffffffffffff, this one is {little.sha256[:12]}"]


def test_a_cache_that_was_written_again_is_not_what_its_manifest_tells_of(little, path):
    path.write_text(path.read_text().replace("stem: 3c", "stem: 3d"))

    assert "it was changed after yolo.cache.json was written beside it" in errors(path, little)


def test_a_calibration_that_ended_early_is_refused(little, path):
    cache_manifest.write(evolve(cache_manifest.read(path), promised=20), path)

    assert errors(path, little) == ["its calibration ended after 16 of 20 batches"]


def test_a_calibration_on_no_picture_is_refused(little, path):
    cache_manifest.write(evolve(cache_manifest.read(path), pictures=0), path)

    assert errors(path, little) == ["its calibration saw no picture"]


def test_the_refusal_has_the_first_reason_and_where_the_others_are(little, path):
    rewritten(path, algorithm="MinMaxCalibration")
    cache_manifest.write(evolve(cache_manifest.read(path), model_sha256="f" * 64), path)

    with pytest.raises(TableError) as error:
        refuse_unfit(path, little, TRT_8_6)

    assert error.value.message.startswith(f"{path} must not be used for {little.path}: its algorithm is MinMax")
    assert error.value.message.endswith(f"1 more with: polyyolo cache check {path} --model {little.path}")


def test_what_is_only_doubtful_is_warned_of_and_used(little, path):
    class Heard(progress.Silent):
        said = ()

        def warned(self, message, fix):
            self.said += (message, fix)

    heard = Heard()
    with progress.listening(heard):
        refuse_unfit(path, little, toolchain.named("8.5"))

    assert heard.said[0] == f"{path}: it was written by TensorRT 8.6, here is 8.5"


def test_a_cache_without_anything_of_the_model_is_refused(little, tmp_path):
    cache_file.write(Cache(8600, "EntropyCalibration2", {"other": 1.0}), tmp_path / "other.cache")

    assert "made for another one" in errors(tmp_path / "other.cache", little)[0]
