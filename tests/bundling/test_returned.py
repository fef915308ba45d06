"""What comes back from another machine: read, judged, and put into the run's record."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from attrs import evolve

from polyyolo import files, progress
from polyyolo.bundling.returned import merged, read_back
from polyyolo.errors import InputError, ToolFailed
from polyyolo.records import HeadKind, Limits, Outcome, Route, Run
from polyyolo.reports.advice import advise


def made_there(bundle, folder, version, *route):
    """Build and measure a copy of a bundle with a trtexec of some release."""
    shutil.copytree(bundle, folder)
    fake = Path(__file__).resolve().parent.parent / "fakes" / "trtexec.py"
    trtexec = folder.parent / "trtexec"
    trtexec.write_text(f"#!/bin/sh\nFAKE_TRTEXEC_VERSION={version} exec '{sys.executable}' '{fake}' \"$@\"\n")
    trtexec.chmod(0o755)
    for script in (("build.sh", *route), ("bench.sh",)):
        subprocess.run(
            ["sh", folder / script[0], *script[1:]],
            env={"TRTEXEC": str(trtexec), "PATH": "/usr/bin:/bin"},
            check=True,
            timeout=60,
        )
    return folder


@pytest.fixture(scope="module")
def measured(bundle, tmp_path_factory):
    """A bundle that was built and measured with trtexec 11.1, once."""
    return made_there(bundle, tmp_path_factory.mktemp("there") / "bundle", "11.1")


@pytest.fixture
def there(measured, tmp_path):
    """A copy of it, to be changed."""
    return Path(shutil.copytree(measured, tmp_path / "there"))


HUGE = "1" + 400 * "0"
"""An integer that no float can hold."""


def checks_of(run):
    return {check.name: check for check in run.verdict.checks}


def rewritten(there, index, change):
    """Write the exported outputs of a query again, changed."""
    path = there / "results" / "outputs" / f"{index}.json"
    entries = json.loads(path.read_text())
    entries[0]["values"] = np.asarray(change(np.array(entries[0]["values"]).reshape(2, 6, 84))).ravel().tolist()
    path.write_text(json.dumps(entries))


def test_the_speed_is_that_of_the_exported_times(measured, packed_run):
    found = read_back(measured, packed_run).benchmark
    times = np.array([entry["computeMs"] for entry in json.loads((measured / "results" / "times.json").read_text())])

    assert found.gpu_compute.samples == 210
    assert found.gpu_compute.median_ms == np.median(times) == 0.728515
    assert found.images_per_s == pytest.approx(4 * 1000 / times.mean(), rel=1e-4)
    assert (found.shapes, found.batch) == ({"images": (4, 3, 64, 64)}, 4)
    assert (found.gpu, found.measured_by) == ("NVIDIA H200", "trtexec 11.1.0")
    assert found.command[:3] == ("trtexec", "--loadEngine=engine/model.plan", "--shapes=images:4x3x64x64")


def test_the_engine_has_the_plan_that_it_was_built_by(measured, packed_run):
    found = read_back(measured, packed_run).engine

    assert found.path == measured / "engine" / "model.plan"
    assert (found.sha256, found.size_bytes) == (files.sha256_of(found.path), found.path.stat().st_size)
    assert found.plan.toolchain.tensorrt == "11.1.0"
    assert found.plan.command.argv[:3] == (
        "trtexec",
        "--onnx=models/model.fp16.onnx",
        "--saveEngine=engine/model.plan",
    )


def test_an_engine_by_a_calibration_cache_has_the_plan_and_the_route_that_it_was_built_by(bundle, packed_run, tmp_path):
    folder = made_there(bundle, tmp_path / "bundle", "8.6.1", "calibrated")
    run = merged(packed_run, read_back(folder, packed_run))
    ran = (folder / "engine" / "build.log").read_text().splitlines()[0].replace("/.model.plan", "/model.plan").split()

    assert (packed_run.route, run.route) == (Route.QDQ, Route.CALIBRATED)
    assert run.plan.command.argv[1:] == tuple(ran[2:])
    assert "--precisionConstraints=obey" in ran


def test_layers_come_with_their_times(measured, packed_run):
    layers = read_back(measured, packed_run).layers

    assert [(layer.name, layer.precision, layer.time_ms) for layer in layers] == [
        ("images_reformat", "INT8", 0.04),
        ("stem/Conv", "INT8", 0.3),
        ("cv1/Conv + act", "FP16", 0.1),
        ("head", "FP32", 0.02),
    ]


def test_the_engines_outputs_are_compared_with_what_onnx_runtime_predicted(measured, packed_run):
    fidelity = read_back(measured, packed_run).fidelity
    strict = fidelity.agreements[1]

    assert fidelity.pictures == 3
    assert 40 < fidelity.signal_to_noise_db["output0"] < 80  # FP16 beside INT8, against FP32 beside INT8
    assert (strict.iou, strict.f1 > 0.9, strict.reference_boxes > 50) == (0.9, True, True)


def test_what_came_back_turns_the_open_checks_into_answers(measured, packed_run):
    run = merged(packed_run, read_back(measured, packed_run))
    before, after = checks_of(packed_run), checks_of(run)
    opened = ("engine built", "speed", "the engine's own accuracy")

    assert list(after) == [*before, "layers in INT8"]
    assert after["layers in INT8"].got == "2 of 4 layers read or write it"
    assert {before[name].outcome for name in opened} == {Outcome.UNPROVEN}
    assert {after[name].outcome for name in opened} == {Outcome.PASS}
    assert after["speed"].got == "0.729 ms for 4x3x64x64, 5490 pictures/s on NVIDIA H200, by trtexec 11.1.0"
    assert (len(run.benchmarks), len(run.engine_layers)) == (1, 4)
    assert after["box agreement with FP32"] == before["box agreement with FP32"]


def test_an_engine_that_came_back_without_int8_fails(measured, packed_run):
    back = read_back(measured, packed_run)
    layers = tuple(evolve(layer, precision="FP16", inputs=("FP16",), outputs=("FP16",)) for layer in back.layers)
    run = merged(packed_run, evolve(back, layers=layers))

    assert checks_of(run)["layers in INT8"].outcome is Outcome.FAIL
    assert run.verdict.outcome is Outcome.FAIL


def test_what_came_back_takes_the_place_of_another_engines_figures(measured, packed_run):
    back = read_back(measured, packed_run)
    twice, other = evolve(back.benchmark, shapes={"images": (8, 3, 64, 64)}), evolve(back.benchmark, sha256="other")
    before = evolve(merged(packed_run, back), benchmarks=(other, twice, back.benchmark))

    run = merged(before, evolve(back, layers=()))

    assert run.benchmarks == (twice, back.benchmark)
    assert run.engine_layers == ()
    assert "layers in INT8" not in checks_of(run)


def test_what_was_predicted_for_another_route_proves_nothing_of_the_engine(bundle, packed_run, tmp_path):
    folder = made_there(bundle, tmp_path / "bundle", "8.6.1", "calibrated")
    run = merged(packed_run, read_back(folder, packed_run))
    check = checks_of(run)["box agreement with FP32"]
    (advice,) = [each for each in advise(run) if check.name in each.checks]

    assert check.outcome is Outcome.UNPROVEN
    assert check.got == f"not of this engine: by route qdq {checks_of(packed_run)[check.name].got}"
    assert "--route calibrated" in advice.command
    assert f"-o {packed_run.folder}-calibrated" in advice.command
    assert checks_of(merged(run, read_back(folder, packed_run)))[check.name] == check


def test_an_engine_by_the_runs_own_route_may_come_back_behind_one_of_another(bundle, packed_run, measured, tmp_path):
    other = made_there(bundle, tmp_path / "bundle", "8.6.1", "calibrated")

    run = merged(merged(packed_run, read_back(other, packed_run)), read_back(measured, packed_run))

    assert run.route is Route.QDQ
    assert checks_of(run)["box agreement with FP32"] == checks_of(packed_run)["box agreement with FP32"]


def test_a_merged_run_can_be_written_and_read_and_merged_again(measured, packed_run, tmp_path):
    back = read_back(measured, packed_run)
    run = merged(packed_run, back)
    files.write_json(tmp_path / "report.json", run)

    assert files.read_json(tmp_path / "report.json", Run) == run
    assert merged(run, back) == run


def test_a_limit_on_the_latency_is_held(measured, packed_run):
    strict = evolve(packed_run, request=evolve(packed_run.request, limits=Limits(max_latency_ms=0.5)))
    speed = checks_of(merged(strict, read_back(measured, strict)))["speed"]

    assert (speed.wanted, speed.outcome) == ("at most 0.5 ms, median of the GPU's work", Outcome.FAIL)


def test_an_engine_that_computes_something_else_fails(there, packed_run):
    for index in ("00", "01"):
        rewritten(there, index, lambda values: values[:, [1, 0, 2, 3, 5, 4]])
    accuracy = checks_of(merged(packed_run, read_back(there, packed_run)))["the engine's own accuracy"]

    assert accuracy.outcome is Outcome.FAIL
    assert accuracy.got.startswith("0.0")


def test_outputs_that_are_no_numbers_count_as_boxes_that_are_missing(there, packed_run):
    for index in ("00", "01"):
        path = there / "results" / "outputs" / f"{index}.json"
        entries = json.loads(path.read_text())
        path.write_text(
            f'[ {{ "name" : "output0", "dimensions" : "2x6x84", "values" : '
            f"[ {', '.join(['nan'] * len(entries[0]['values']))} ] }} ]"
        )
    back = read_back(there, packed_run)

    assert back.fidelity.signal_to_noise_db == {"output0": -200.0}
    assert checks_of(merged(packed_run, back))["the engine's own accuracy"].outcome is Outcome.FAIL


def test_the_picture_that_fills_a_query_up_is_not_counted(there, packed_run):
    def spoilt(values):
        values[1] = 0  # the second half of the last query repeats its first
        return values

    before = read_back(there, packed_run).fidelity
    rewritten(there, "01", spoilt)

    assert read_back(there, packed_run).fidelity == before


def test_without_a_recognised_head_raw_outputs_are_all_there_is(measured, packed_run):
    source = evolve(packed_run.source, head=evolve(packed_run.source.head, kind=HeadKind.NONE))
    run = evolve(packed_run, source=source)
    accuracy = checks_of(merged(run, read_back(measured, run)))["the engine's own accuracy"]

    assert accuracy.outcome is Outcome.UNPROVEN
    assert accuracy.got.startswith("no boxes to compare, 3 pictures; output0 ")


def test_clocks_and_power_are_taken_where_nvidia_smi_told_them(there, packed_run):
    (there / "results" / "gpu.csv").write_text("1980, 3201, 512.5, 41\n1755, 3201, [N/A], 44\n1965, 3201, 498.1, 43\n")

    assert read_back(there, packed_run).benchmark.conditions == {
        "sm_clock_mhz": 1965.0,
        "sm_clock_min_mhz": 1755.0,
        "memory_clock_mhz": 3201.0,
        "power_w": pytest.approx(505.3),
        "temperature_c": 44.0,
    }


@pytest.mark.parametrize(
    "line", ["\u00b2, \u00b2, \u00b2, \u00b2", '"1980, 3201, 512.5, ' + "4" * 200_000, "nan, inf, , \0"]
)
def test_readings_that_are_no_numbers_are_left_out(there, packed_run, line):
    (there / "results" / "gpu.csv").write_text(f"{line}\n1755, 3201, 498.5, 44\n")

    assert read_back(there, packed_run).benchmark.conditions["sm_clock_mhz"] == 1755.0


def test_layers_that_cannot_be_read_cost_the_layers_only(there, packed_run):
    (there / "results" / "layers.json").write_text('{"Layers": ["stem", "head"]}')
    with progress.recording() as told:
        back = read_back(there, packed_run)

    assert back.layers == ()
    assert "holds names of 2 layers" in told.warnings[0].message
    assert back.benchmark.gpu_compute.samples == 210


def test_an_archive_that_came_back_is_to_be_unpacked(packed_run, tmp_path):
    archive = tmp_path / "bundle.tar.gz"
    archive.write_bytes(b"")

    with pytest.raises(InputError, match=r"bundle\.tar\.gz is a file, not the folder of a bundle") as error:
        read_back(archive, packed_run)
    assert error.value.fix.startswith("unpack what came back")


def test_a_folder_that_is_no_bundle_is_refused(packed_run, tmp_path):
    with pytest.raises(InputError, match=r"is no bundle: it holds no bundle\.json"):
        read_back(tmp_path, packed_run)


def test_a_bundle_that_was_not_measured_says_what_to_run(bundle, there, packed_run):
    with pytest.raises(InputError) as nothing:
        read_back(bundle, packed_run)
    shutil.rmtree(there / "results")
    with pytest.raises(InputError) as built:
        read_back(there, packed_run)

    assert nothing.value.message == f"{bundle} holds no results"
    assert nothing.value.fix.endswith("sh build.sh, then sh bench.sh")
    assert built.value.message.endswith("the engine was built there, but not measured")
    assert built.value.fix.endswith(": sh bench.sh")


def test_results_of_another_model_are_refused(measured, packed_run):
    other = evolve(packed_run, source=evolve(packed_run.source, sha256="b" * 64))

    with pytest.raises(InputError, match=r"is a bundle of little-dyn\.onnx \(\w{12}\), the run in .* \(bbbbbbbbbbbb\)"):
        read_back(measured, other)


def test_results_from_before_the_run_was_made_again_are_refused(measured, packed_run, tmp_path):
    again = Path(shutil.copytree(packed_run.folder, tmp_path / "run"))
    model = again / "model.int8.onnx"
    model.write_bytes(model.read_bytes() + b"\0")

    with pytest.raises(InputError, match="was made again since"):
        read_back(measured, evolve(packed_run, folder=again))


@pytest.mark.parametrize(("noted", "status"), [("1", 1), ("137", 137), ("\u00b2", 1), ("", 1), ("9" * 5000, 1)])
def test_a_build_that_failed_there_is_told_with_its_last_lines(bundle, packed_run, tmp_path, *, noted, status):
    folder = Path(shutil.copytree(bundle, tmp_path / "failed"))
    (folder / "engine").mkdir()
    (folder / "engine" / "build.log").write_text("[E] OutOfMemory\n&&&& FAILED\n")
    (folder / "engine" / "failed.txt").write_text(
        f"number=101600\nroute=qdq\nstatus={noted}\nmessage=trtexec ended with status 1\n"
    )
    with pytest.raises(ToolFailed) as error:
        read_back(folder, packed_run)

    assert error.value.message == "the build failed on the other machine: trtexec ended with status 1"
    assert (error.value.status, error.value.tail) == (status, "[E] OutOfMemory\n&&&& FAILED")


def test_a_measurement_that_failed_there_is_told_with_why(bundle, packed_run, tmp_path):
    folder = Path(shutil.copytree(bundle, tmp_path / "failed"))
    (folder / "engine").mkdir()
    (folder / "engine" / "build.txt").write_text("number=101600\nroute=qdq\nseconds=1\nbytes=1\nsha256=\n")
    (folder / "engine" / "bench_failed.log").write_text("[E] OutOfMemory\n&&&& FAILED\n")

    with pytest.raises(ToolFailed, match="measuring it failed there") as error:
        read_back(folder, packed_run)

    assert error.value.fix.startswith("free memory")


def test_why_a_build_failed_there_is_found_above_the_last_lines_too(bundle, packed_run, tmp_path):
    folder = Path(shutil.copytree(bundle, tmp_path / "failed"))
    (folder / "engine").mkdir()
    said = ["[E] [TRT] No importer registered for op: Odd", *(f"attribute {number}" for number in range(40))]
    (folder / "engine" / "build.log").write_text("\n".join(said))
    (folder / "engine" / "failed.txt").write_text("status=1\nmessage=trtexec ended with status 1\n")

    with pytest.raises(ToolFailed) as error:
        read_back(folder, packed_run)

    assert error.value.fix.startswith("the model holds an operator that this TensorRT does not know")
    assert error.value.tail.splitlines() == said[-12:]


def test_a_disk_that_was_full_there_is_told_so(bundle, packed_run, tmp_path):
    folder = Path(shutil.copytree(bundle, tmp_path / "failed"))
    (folder / "engine").mkdir()
    (folder / "engine" / "build.log").write_text("[E] Saving engine to file failed.\n&&&& FAILED\n")
    (folder / "engine" / "failed.txt").write_text("status=1\nmessage=trtexec ended with status 1\n")

    with pytest.raises(ToolFailed) as error:
        read_back(folder, packed_run)

    assert error.value.fix == "free some space"


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("results/times.json", "[", "cannot read the times in"),
        ("results/times.json", '[{"computeMs": 1, "latencyMs": 1, "startH2dMs": 0, "endD2hMs": 0}]', "take 0 ms from"),
        ("results/speed.log", None, "cannot read .*speed.log"),
        ("results/speed.log", "", "speed.log is no whole log of trtexec"),
        (
            "results/speed.log",
            "&&&& RUNNING TensorRT.trtexec [TensorRT v110100]",
            "speed.log is no whole log of trtexec",
        ),
        ("results/build.txt", "number=110100\n", "does not tell route, seconds, bytes, sha256"),
        ("results/build.txt", "number=x\nroute=qdq\nseconds=1\nbytes=1\nsha256=\n", "number=x"),
        ("results/build.txt", "number=8600\nroute=qdq\nseconds=nan\nbytes=1\nsha256=\n", "understood: seconds=nan"),
        ("results/build.txt", "number=8600\nroute=qdq\nseconds=inf\nbytes=1\nsha256=\n", "understood: seconds=inf"),
        ("results/build.txt", f"number=8600\nroute=qdq\nseconds=1\nbytes={HUGE}\nsha256=\n", "understood: bytes=10"),
        ("results/outputs/00.json", "[{", "cannot read .*00.json"),
        ("results/outputs/00.json", "[" * 100_000, "cannot read .*00.json"),
        (
            "results/outputs/00.json",
            f'[{{"name": "output0", "dimensions": "1", "values": [{HUGE}]}}]',
            "cannot read .*00.json: int too large",
        ),
        ("results/outputs/01.json", None, "cannot read .*01.json"),
        ("results/outputs/00.json", "[]", "has nothing for output output0"),
        ("reference/00.output0.bin", "", "00.output0.bin is not what was packed: its SHA-256 differs"),
        ("reference/00.output0.bin", None, "cannot read .*00.output0.bin"),
        ("models/model.fp16.onnx", "", "model.fp16.onnx is not what was packed: its SHA-256 differs"),
        ("SHA256SUMS", None, "cannot read .*SHA256SUMS"),
        ("bundle.json", "{", "cannot read .*bundle.json"),
    ],
)
def test_damaged_results_are_named(there, packed_run, name, content, message):
    if content is None:
        (there / name).unlink()
    else:
        (there / name).write_text(content)

    with pytest.raises(InputError, match=message):
        read_back(there, packed_run)


def test_an_engine_that_was_built_again_after_it_was_measured_is_warned_of(there, packed_run):
    with (there / "engine" / "model.plan").open("ab") as stream:
        stream.write(b"more")
    with progress.recording() as told:
        read_back(there, packed_run)

    assert told.warnings[0].message.endswith("is not the engine that was measured")


@pytest.mark.parametrize("shapes", [{}, {"images": []}, {"images": [0, 3, 64, 64]}, {"mask": [4, 3, 64, 64]}])
def test_a_bundle_that_does_not_tell_the_shape_of_its_pictures_is_refused(there, packed_run, shapes):
    told = json.loads((there / "bundle.json").read_text())
    (there / "bundle.json").write_text(json.dumps({**told, "shapes": shapes}))

    with pytest.raises(InputError, match=r"bundle\.json has no shape \(N, C, H, W\) of the input 'images'"):
        read_back(there, packed_run)


@pytest.mark.parametrize("engine_came_too", [True, False])
def test_an_engine_whose_notes_are_not_of_the_one_that_was_measured_is_warned_of(there, packed_run, engine_came_too):
    notes = (there / "results" / "build.txt").read_text()
    (there / "engine" / "build.txt").write_text(notes.replace("sha256=", "sha256=beef").replace("qdq", "calibrated"))
    if not engine_came_too:
        (there / "engine" / "model.plan").unlink()
    with progress.recording() as told:
        back = read_back(there, packed_run)

    digest = back.engine.sha256
    [warning] = told.warnings
    assert warning.message == (
        f"{there}/engine/build.txt is of another engine (route calibrated, sha256 beef{digest[:8]}) than the one that "
        f"was measured (route qdq, sha256 {digest[:12]})"
    )


def test_a_build_that_failed_after_the_engine_was_measured_is_warned_of(there, packed_run):
    (there / "engine" / "failed.txt").write_text("status=1\nmessage=trtexec ended with status 1\n")
    with progress.recording() as told:
        read_back(there, packed_run)

    [warning] = told.warnings
    assert warning.message == "a build failed there after the engine was measured: trtexec ended with status 1"
    assert warning.fix == "run build.sh there again, then bench.sh"


def test_results_without_the_engine_itself_suffice(there, packed_run):
    shutil.rmtree(there / "engine")

    assert read_back(there, packed_run).engine.size_bytes > 100


def test_results_of_another_bundle_are_refused(there, packed_run):
    notes = there / "results" / "build.txt"
    assert f"bundle={files.sha256_of(there / 'SHA256SUMS')}\n" in notes.read_text()
    notes.write_text(re.sub("bundle=.*", f"bundle={'0' * 64}", notes.read_text()))

    with pytest.raises(InputError, match="has the results of another bundle"):
        read_back(there, packed_run)


def test_results_of_a_route_that_the_bundle_does_not_have_are_refused(there, packed_run):
    told = json.loads((there / "bundle.json").read_text())
    (there / "bundle.json").write_text(json.dumps({**told, "routes": ["calibrated"]}))

    with pytest.raises(InputError, match="has results of the route qdq, which its bundle does not have"):
        read_back(there, packed_run)


@pytest.mark.parametrize("name", ["results/speed.log", "results/times.json", "results/outputs/00.json"])
def test_a_pipe_among_the_results_is_refused_and_not_waited_for(there, packed_run, name):
    (there / name).unlink()
    os.mkfifo(there / name)

    with pytest.raises(InputError, match="it is a pipe or a device, no file"):
        read_back(there, packed_run)
