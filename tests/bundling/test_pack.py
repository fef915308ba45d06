"""What a bundle holds, that it is the same every time, and what cannot be packed."""

import errno
import hashlib
import json
import shutil
import tarfile
from pathlib import Path

import numpy as np
import onnx
import pytest
from attrs import evolve

from polyyolo import files, pipeline
from polyyolo.bundling import archive
from polyyolo.bundling.contents import Bundle
from polyyolo.bundling.forms import gather
from polyyolo.bundling.generations import GENERATIONS, PARTIAL_ENGINE, plan_for
from polyyolo.bundling.pack import Wanted, pack
from polyyolo.engines.toolchain import named
from polyyolo.engines.versions import version_in_banner
from polyyolo.errors import InputError, PictureError, ToolchainError
from polyyolo.models.spec import read_spec
from polyyolo.records import Precision, Request, Route
from polyyolo.verification.inference import Runner

RELEASES = ("8.5", "8.6", "9.0", "9.1", "9.2", "9.3")
RELEASES += (*(f"10.{minor}" for minor in range(17)), *(f"11.{minor}" for minor in range(5)))


@pytest.fixture
def run(packed_run, tmp_path):
    """A copy of the run, to be changed."""
    return Path(shutil.copytree(packed_run.folder, tmp_path / "run"))


def names_in(folder):
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


def test_a_bundle_holds_each_form_of_the_model_the_scripts_and_the_references(bundle):
    forms = {f"models/{name}" for name in ("model.int8.onnx", "model.fp16.onnx", "model.onnx")}
    cache = {"models/calibration.cache", "models/calibration.cache.json"}
    scripts = {"build.sh", "bench.sh", "check.sh", "lib/common.sh", "lib/generations.sh"}
    tables = {"lib/compare.awk", "lib/outputs.tsv"}
    known = {f"reference/{index}.{kind}.bin" for index in ("00", "01") for kind in ("float32", "output0")}
    told = {"README.txt", "SHA256SUMS", "bundle.json", "profile.json"}

    assert names_in(bundle) == forms | cache | scripts | tables | known | told


def test_the_forms_differ_in_where_their_types_come_from(bundle):
    def types(name):
        graph = onnx.load(bundle / "models" / name).graph
        return "QuantizeLinear" in {node.op_type for node in graph.node}, onnx.TensorProto.FLOAT16 in {
            weights.data_type for weights in graph.initializer
        }

    assert types("model.int8.onnx") == (True, False)
    assert types("model.fp16.onnx") == (True, True)
    assert types("model.onnx") == (False, False)


def test_the_list_of_checksums_names_every_other_file(bundle):
    listed = dict(line.split("  ")[::-1] for line in (bundle / "SHA256SUMS").read_text().splitlines())

    assert set(listed) == names_in(bundle) - {"SHA256SUMS"}
    assert all(hashlib.sha256((bundle / name).read_bytes()).hexdigest() == digest for name, digest in listed.items())


def test_what_is_expected_is_what_onnx_runtime_makes_of_what_is_given(bundle):
    told = files.read_json(bundle / "bundle.json", Bundle)
    spec = read_spec(bundle / "models" / "model.int8.onnx")
    given = np.fromfile(bundle / "reference" / "01.float32.bin", "<f4").reshape(2, 3, 64, 64)
    with Runner(spec) as runner:
        outputs = runner.infer(given)["output0"]
    expected = np.fromfile(bundle / "reference" / "01.output0.bin", "<f4").reshape(2, 6, 84)

    assert [len(reference.pictures) for reference in told.references] == [2, 1]
    assert (given[0] == given[1]).all()
    assert 0 <= given.min() < given.max() <= 1
    np.testing.assert_allclose(expected, outputs, rtol=1e-6)


def test_the_same_run_gives_the_same_bytes_whenever_and_wherever_it_is_packed(packed_run, run, tmp_path):
    first, second = tmp_path / "one" / "yolo.tar.gz", tmp_path / "two" / "yolo.tar.gz"
    pack(packed_run.folder, first, Wanted(pictures=2))
    pack(run, second, Wanted(pictures=2))

    assert first.read_bytes() == second.read_bytes()


def test_an_archive_unpacks_into_one_folder_with_scripts_that_can_be_started(packed_run, tmp_path):
    packed = pack(packed_run.folder, tmp_path / "yolo-int8.tar.gz", Wanted(pictures=1))
    with tarfile.open(packed.path) as opened:
        entries = {entry.name: entry for entry in opened}

    assert {name.partition("/")[0] for name in entries} == {"yolo-int8"}
    assert entries["yolo-int8/build.sh"].mode == 0o755
    assert {(entry.mtime, entry.uid, entry.uname) for entry in entries.values()} == {(archive.STAMP, 0, "")}
    assert list(entries) == sorted(entries)
    assert packed.size_bytes == packed.path.stat().st_size


def test_nothing_in_a_bundle_tells_where_it_was_made(bundle, packed_run, little_pictures):
    places = [str(packed_run.folder.parent).encode(), str(little_pictures).encode()]

    assert not [name for name in names_in(bundle) for place in places if place in (bundle / name).read_bytes()]


def test_every_release_is_told_what_its_generation_is_told(packed_run, tmp_path):
    """The scripts hold one command line a generation: those of all its releases must be the same."""
    run = packed_run
    forms = gather(run.folder, run, tmp_path, with_cache=True)

    def argv(version, route):
        return plan_for(forms, run.profile, route, named(version), PARTIAL_ENGINE).command.argv

    for version in RELEASES:
        release = tuple(map(int, version.split(".")))
        generation = next(each for each in GENERATIONS if tuple(map(int, each.first.split("."))) <= release)
        assert argv(version, Route.QDQ) == argv(generation.first, Route.QDQ)
        if release < (11, 0):
            assert argv(version, Route.CALIBRATED) == argv(generation.first, Route.CALIBRATED)


def test_a_generation_begins_with_the_number_in_its_banner():
    assert [version_in_banner(f"[TensorRT v{each.number}]") for each in GENERATIONS] == [
        f"{each.first}.0" for each in GENERATIONS
    ]


def test_the_readme_names_the_model_and_how_to_go_on(bundle):
    text = (bundle / "README.txt").read_text()

    assert text.startswith("WHAT THIS IS\n\nlittle-dyn.onnx\nin INT8")
    assert "3 pictures" in text
    assert (
        "POLYGRAPHY_USE_TENSORRT_RTX=1 \\\n    polygraphy convert models/model.fp16.onnx \\\n    --convert-to trt"
        in text
    )
    assert "@" not in text
    assert max(map(len, text.splitlines())) <= 80


def test_without_pictures_nothing_is_there_to_check_with(packed_run, tmp_path):
    made = pack(packed_run.folder, tmp_path / "bundle", Wanted(pictures=0))

    assert not (made.path / "reference").exists()
    assert made.bundle.references == ()


def test_the_models_are_cast_where_the_run_was_for_an_old_tensorrt(run, tmp_path):
    (run / "model.fp16.onnx").unlink()
    made = pack(run, tmp_path / "bundle", Wanted(pictures=1))

    assert (made.path / "models" / "model.fp16.onnx").is_file()


def test_a_folder_that_is_no_run_is_refused(tmp_path, little_pictures):
    with pytest.raises(InputError, match="it is not the folder of a finished run"):
        pack(little_pictures, tmp_path / "bundle")


def test_a_run_without_int8_is_refused(little_yolo, little_pictures, tmp_path):
    made = pipeline.engine(
        Request(
            model=str(little_yolo),
            images=little_pictures,
            precision=Precision.FP16,
            toolchain="none",
            output=tmp_path / "run",
        )
    )
    with pytest.raises(InputError, match="is a run in fp16: a bundle is for INT8"):
        pack(made.folder, tmp_path / "bundle")


def test_a_run_that_was_changed_is_refused(run, tmp_path):
    model = run / "model.int8.onnx"
    model.write_bytes(model.read_bytes() + b"\0")

    with pytest.raises(InputError, match=r"model\.int8\.onnx was changed since the run"):
        pack(run, tmp_path / "bundle")
    assert not (tmp_path / "bundle").exists()


def test_a_run_that_lost_its_model_is_refused(run, tmp_path):
    (run / "model.int8.onnx").unlink()

    with pytest.raises(InputError, match=r"model\.int8\.onnx is gone"):
        pack(run, tmp_path / "bundle")


def test_a_target_that_exists_is_left_alone(packed_run, tmp_path):
    target = tmp_path / "bundle"
    target.mkdir()
    (target / "mine").write_text("keep")

    with pytest.raises(InputError, match="exists already"):
        pack(packed_run.folder, target)
    assert names_in(target) == {"mine"}


def test_an_empty_folder_is_filled(packed_run, tmp_path):
    (tmp_path / "bundle").mkdir()

    assert pack(packed_run.folder, tmp_path / "bundle", Wanted(pictures=0)).path == tmp_path / "bundle"


@pytest.mark.parametrize("place", [".", "sub/bundle", "sub/bundle.tar.gz"])
def test_a_target_inside_the_run_is_refused(run, place):
    before = names_in(run)
    with pytest.raises(InputError, match="is inside the run's folder"):
        pack(run, run / place)
    assert names_in(run) == before


def test_pictures_that_are_gone_are_told_with_what_to_do(packed_run, run, tmp_path):
    record = evolve(
        packed_run,
        calibration=evolve(packed_run.calibration, sources=(*packed_run.calibration.sources, tmp_path / "x")),
    )
    files.write_json(run / "report.json", record)

    with pytest.raises(PictureError) as error:
        pack(run, tmp_path / "bundle")
    assert "1 of the pictures that the run calibrated with are not where they were" in error.value.message
    assert error.value.fix == (
        "start it from the folder that the run was started from, name others with --images, "
        "or leave them out with --pictures 0"
    )


@pytest.mark.parametrize("fault", [OSError(errno.ENOSPC, "No space left on device"), KeyboardInterrupt()])
def test_a_full_disk_or_ctrl_c_leaves_nothing(packed_run, tmp_path, monkeypatch, fault):
    def fail(*_):
        raise fault

    monkeypatch.setattr("polyyolo.bundling.pack.write_sums", fail)
    wanted = KeyboardInterrupt if isinstance(fault, KeyboardInterrupt) else ToolchainError
    with pytest.raises(wanted):
        pack(packed_run.folder, tmp_path / "there" / "bundle", Wanted(pictures=0))

    assert list((tmp_path / "there").iterdir()) == []


def test_a_model_that_came_quantized_is_packed_as_it_is(packed_run, little_pictures, tmp_path):
    given = packed_run.folder / "model.int8.onnx"
    run = pipeline.engine(Request(model=str(given), toolchain="none", output=tmp_path / "run"))
    with pytest.raises(InputError, match="knows no pictures to check an engine with"):
        pack(run.folder, tmp_path / "bundle")
    with pytest.raises(InputError, match="there is no FP32 model for a calibration cache"):
        pack(run.folder, tmp_path / "bundle", Wanted(pictures=0, with_cache=True))
    made = pack(run.folder, tmp_path / "bundle", Wanted(pictures=2, images=little_pictures))

    assert {path.name for path in (made.path / "models").iterdir()} == {"model.onnx"}
    assert (made.bundle.weak, made.bundle.strong, made.bundle.plain) == ("model.onnx", "model.onnx", "")


def test_a_calibrated_run_brings_its_cache_and_builds_by_it(little_yolo, little_pictures, tmp_path):
    asked = Request(
        model=str(little_yolo),
        images=little_pictures,
        route=Route.CALIBRATED,
        toolchain="none",
        output=tmp_path / "run",
    )
    run = pipeline.engine(asked)
    made = pack(run.folder, tmp_path / "bundle", Wanted(pictures=1))

    assert (made.bundle.route, made.bundle.routes) == (Route.CALIBRATED, (Route.QDQ, Route.CALIBRATED))
    packed, own = ((folder / "calibration.cache").read_text() for folder in (made.path / "models", run.folder))
    assert packed == own


def test_bundle_json_is_plain_json_without_a_path(bundle):
    told = json.loads((bundle / "bundle.json").read_text())

    assert (told["model"], told["route"], told["routes"]) == ("little-dyn.onnx", "qdq", ["qdq", "calibrated"])
    assert (told["shapes"], told["batch"]) == ({"images": [4, 3, 64, 64]}, 4)
