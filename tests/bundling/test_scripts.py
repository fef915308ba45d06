"""build.sh, bench.sh and check.sh on a machine with a POSIX shell and a trtexec of each generation."""

import hashlib
import os
import re
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pytest
from attrs import evolve

from polyyolo import files, pipeline
from polyyolo.bundling.pack import Wanted, pack
from polyyolo.records import Request

GENERATIONS = ("8.5.3", "8.6.1", "9.3", "10.16", "11.1")


def argv_of(box, log="engine/build.log"):
    """The words that trtexec got, from its own first line."""
    return re.search(r"&&&& RUNNING .* # trtexec (.*)", (box.folder / log).read_text())[1].split()


def notes_of(box, name="engine/build.txt"):
    return dict(line.split("=", 1) for line in (box.folder / name).read_text().splitlines())


def test_each_generation_gets_the_model_and_the_options_that_it_knows(box, fake_trtexec):
    shapes = ["--minShapes=images:2x3x64x64", "--optShapes=images:4x3x64x64", "--maxShapes=images:8x3x64x64"]
    asked = {}
    for version in GENERATIONS:
        said = box.run("build.sh", trtexec=fake_trtexec(version))
        assert (said.status, said.text[-42:]) == (0, "built engine/model.plan; now: sh bench.sh\n"), said.text
        onnx, engine, *rest = argv_of(box)
        assert engine == "--saveEngine=engine/.model.plan"
        asked[version] = [onnx, *(word for word in rest if word not in shapes)]
        assert len(rest) - len(asked[version]) == len(shapes) - 1

    weak = ["--onnx=models/model.int8.onnx", "--int8", "--fp16"]
    assert asked == {
        "8.5.3": [*weak, "--profilingVerbosity=detailed", "--buildOnly"],
        "8.6.1": [*weak, "--profilingVerbosity=detailed", "--skipInference"],
        "9.3": [*weak, "--profilingVerbosity=detailed", "--skipInference"],
        "10.16": [
            *("--onnx=models/model.fp16.onnx", "--stronglyTyped"),
            *("--profilingVerbosity=detailed", "--skipInference"),
        ],
        "11.1": ["--onnx=models/model.fp16.onnx", "--profilingVerbosity=detailed", "--skipInference"],
    }


def test_what_was_built_is_noted_with_its_hash(box, fake_trtexec):
    box.run("build.sh", trtexec=fake_trtexec("10.16"))

    engine = (box.folder / "engine" / "model.plan").read_bytes()
    notes = notes_of(box)
    assert engine[:4] == b"ftrt"
    assert (notes["number"], notes["route"]) == ("101600", "qdq")
    assert notes["sha256"] == hashlib.sha256(engine).hexdigest()
    assert int(notes["bytes"]) == len(engine)
    assert 0 <= int(notes["seconds"]) < 30


def test_the_calibrated_route_takes_the_cache_with_the_number_of_this_trtexec(box, fake_trtexec):
    said = box.run("build.sh", "calibrated", trtexec=fake_trtexec("8.6.1"))

    assert said.status == 0, said.text
    assert argv_of(box)[0] == "--onnx=models/model.onnx"
    assert "--calib=engine/calibration.cache" in argv_of(box)
    packed, written = (
        (box.folder / place / "calibration.cache").read_text().split("\n", 1) for place in ("models", "engine")
    )
    assert (packed[0], written[0]) == ("TRT-100000-EntropyCalibration2", "TRT-8601-EntropyCalibration2")
    assert packed[1] == written[1]


def test_tensorrt_11_refuses_the_calibrated_route_and_names_the_other(box, fake_trtexec):
    said = box.run("build.sh", "calibrated", trtexec=fake_trtexec("11.1"))

    assert said.status == 3
    assert "error: TensorRT 11.0 has no INT8 calibrator (removed in 11.0)\n  fix: sh build.sh qdq" in said.text


def test_bench_leaves_times_layers_and_outputs(box, fake_trtexec):
    trtexec = fake_trtexec("11.1")
    box.run("build.sh", trtexec=trtexec)
    said = box.run("bench.sh", trtexec=trtexec)

    assert said.status == 0, said.text
    found = {str(path.relative_to(box.folder / "results")) for path in (box.folder / "results").rglob("*.*")}
    exports = {"times.json", "layers.json", "layer_times.json", "outputs/00.json", "outputs/01.json"}
    assert found == exports | {"build.txt", "build.log", "speed.log", "layers.log", "outputs.log"}
    assert not (box.folder / "results.partial").exists()
    assert "GPU Compute Time: min = 0.72" in said.text
    assert re.search(r"00, output0: [4-9]\d\.\d dB, largest error 0\.\d+ \(INT8 itself is [4-7]\d", said.text)


@pytest.mark.parametrize(
    ("fail", "lost"),
    [("no-times", "times.json"), ("truncated-times", "times.json"), ("truncated-outputs", "outputs/00.json")],
)
def test_what_trtexec_did_not_write_is_missed_there_and_not_when_it_comes_back(box, fake_trtexec, fail, lost):
    box.run("build.sh", trtexec=fake_trtexec("10.16"))

    said = box.run("bench.sh", trtexec=fake_trtexec("10.16", fail=fail))

    assert said.status == 4
    assert f"error: trtexec did not write results.partial/{lost}, or not to its end\n  fix: free some" in said.text
    assert not list(box.folder.glob("results*"))


def test_an_engine_is_measured_after_a_build_that_was_refused(box, fake_trtexec):
    trtexec = fake_trtexec("11.1")
    assert [box.run("build.sh", route, trtexec=trtexec).status for route in ("qdq", "calibrated")] == [0, 3]

    said = box.run("bench.sh", trtexec=trtexec)

    assert said.status == 0, said.text
    assert notes_of(box, "results/build.txt")["route"] == "qdq"


def test_all_scripts_work_in_every_shell(box, fake_trtexec, shell):
    trtexec = fake_trtexec("8.6.1")
    for script in ("build.sh", "bench.sh", "check.sh"):
        said = box.run(script, shell=shell, trtexec=trtexec)
        assert said.status == 0, said.text
    decibels = float(re.search(r"00, output0: ([\d.]+) dB", said.text)[1])
    assert decibels > 120  # the same model in the same arithmetic, written with the six digits that trtexec exports


def test_every_script_is_read_by_every_shell_without_complaint(bundle, shell):
    for script in (*bundle.glob("*.sh"), *(bundle / "lib").glob("*.sh")):
        command = [shutil.which(shell), *(["sh"] if shell == "busybox" else []), "-n", script]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert (done.returncode, done.stderr) == (0, ""), script


def test_trtexec_is_found_on_the_path(box, fake_trtexec):
    folder = fake_trtexec("9.3").parent

    assert box.run("build.sh", PATH=f"{box.path}:{folder}").text.startswith(f"trtexec 9.3.0: {folder}/trtexec\n")


def test_without_trtexec_it_is_told_where_it_was_looked_for(box):
    said = box.run("build.sh")

    assert said.status == 3
    assert "trtexec was not found; looked on PATH, and in /usr/src/tensorrt/bin /opt/tensorrt/bin" in said.text
    assert "fix: set TRTEXEC to its path" in said.text


def test_a_relative_trtexec_is_meant_where_the_script_was_started(box, fake_trtexec, shell):
    relative = os.path.relpath(fake_trtexec("9.3"), "/")

    for script in ("build.sh", "bench.sh"):
        said = box.run(script, shell=shell, trtexec=f"./{relative}")
        assert (said.status, said.text.splitlines()[0]) == (0, f"trtexec 9.3.0: //./{relative}"), said.text


def test_a_trtexec_without_a_folder_is_looked_for_on_the_path(box, fake_trtexec, shell):
    program = fake_trtexec("9.3")
    told = box.run("build.sh", shell=shell, trtexec=program.name, PATH=f"{box.path}:{program.parent}").text

    assert told.startswith(f"trtexec 9.3.0: {program}\n")


@pytest.mark.parametrize(("given", "taken"), [("{here}", "{here}"), ("./none", "//./none"), ("none", "//none")])
def test_a_trtexec_that_is_no_program_is_refused_with_where_it_was_looked_for(box, tmp_path, given, taken):
    given, taken = (each.format(here=tmp_path) for each in (given, taken))
    said = box.run("build.sh", trtexec=given)

    assert (said.status, said.text.splitlines()[0]) == (3, f"error: TRTEXEC is {taken}, which is no program")


@pytest.mark.parametrize(
    ("banner", "told"),
    [
        ("&&&& RUNNING TensorRT.trtexec [TensorRT v8401] # trtexec --help", "trtexec 8.4.1 is older than 8.5"),
        ("libnvinfer.so.10: cannot open shared object file", "did not tell its version"),
    ],
)
def test_an_old_trtexec_and_one_that_does_not_start_are_refused(box, tmp_path, banner, told):
    program = tmp_path / "trtexec"
    program.write_text(f"#!/bin/sh\necho '{banner}'\n")
    program.chmod(0o755)
    said = box.run("build.sh", trtexec=program)

    assert said.status == 3
    assert told in said.text
    assert not (box.folder / "engine").exists()


@pytest.mark.parametrize("harm", ["changed", "gone"])
def test_a_file_that_is_not_what_was_packed_is_named_before_anything_is_built(box, fake_trtexec, harm):
    model = box.folder / "models" / "model.fp16.onnx"
    if harm == "changed":
        model.write_bytes(model.read_bytes()[:-1])
    else:
        model.unlink()
    said = box.run("build.sh", trtexec=fake_trtexec("10.16"))

    told = {"changed": "is not what was packed: its SHA-256 differs", "gone": "is missing"}
    assert said.status == 2
    assert f"error: models/model.fp16.onnx {told[harm]}" in said.text
    assert not (box.folder / "engine").exists()


def test_a_list_of_checksums_that_was_cut_off_is_not_taken_for_all(box, fake_trtexec):
    sums = box.folder / "SHA256SUMS"
    sums.write_text("".join(sums.read_text().splitlines(keepends=True)[:-1]))
    said = box.run("build.sh", trtexec=fake_trtexec("10.16"))

    assert said.status == 2
    assert "error: SHA256SUMS lists" in said.text
    assert not (box.folder / "engine").exists()


def test_the_last_line_of_the_checksums_counts_without_its_end(box, fake_trtexec):
    sums = box.folder / "SHA256SUMS"
    sums.write_text(sums.read_text().rstrip("\n"))

    assert box.run("build.sh", trtexec=fake_trtexec("10.16")).status == 0


def test_numbers_are_the_same_in_a_locale_that_writes_them_with_a_comma(box, fake_trtexec, shell, tmp_path):
    if not shutil.which("localedef"):
        pytest.skip("no localedef here")
    (tmp_path / "locales").mkdir()
    made = subprocess.run(
        ["localedef", "-i", "de_DE", "-f", "UTF-8", tmp_path / "locales" / "de_DE.UTF-8"],
        check=False,
        capture_output=True,
    )
    if made.returncode:
        pytest.skip("localedef has no de_DE here")
    comma = {"LOCPATH": str(tmp_path / "locales"), "LC_ALL": "de_DE.UTF-8"}
    for script in ("build.sh", "bench.sh"):
        assert box.run(script, shell=shell, trtexec=fake_trtexec("10.16"), **comma).status == 0

    assert box.run("check.sh", shell=shell, **comma).text == box.run("check.sh", shell=shell).text


@pytest.mark.parametrize("script", ["build.sh", "bench.sh"])
def test_two_at_once_do_not_take_each_others_work_away(box, fake_trtexec, shell, script):
    assert box.run("build.sh", trtexec=fake_trtexec("10.16")).status == 0
    (box.folder / "engine" / ".at-work").mkdir()
    (box.folder / "engine" / ".at-work" / "process").write_text(f"{os.getpid()}\n")

    said = box.run(script, shell=shell, trtexec=fake_trtexec("10.16"))

    assert (said.status, f"at work here: process {os.getpid()}" in said.text) == (3, True)
    assert (box.folder / "engine" / "model.plan").exists()


@pytest.mark.parametrize("left", ["", "999999999\n"])
def test_a_build_that_was_killed_is_in_nobodys_way(box, fake_trtexec, shell, left):
    (box.folder / "engine" / ".at-work").mkdir(parents=True)
    (box.folder / "engine" / ".at-work" / "process").write_text(left)

    assert box.run("build.sh", shell=shell, trtexec=fake_trtexec("10.16")).status == 0
    assert not (box.folder / "engine" / ".at-work").exists()


def test_an_output_that_awk_could_not_find_is_left_to_the_report(box, fake_trtexec, shell):
    for script in ("build.sh", "bench.sh"):
        assert box.run(script, trtexec=fake_trtexec("10.16")).status == 0
    listed = box.folder / "lib" / "outputs.tsv"
    listed.write_text(listed.read_text().replace("output0\n", "out[0]\n"))

    said = box.run("check.sh", shell=shell)

    assert said.status == 0
    assert "00, out[0]: a name that this cannot look for; polyyolo report compares it" in said.text


def test_a_script_without_what_lies_beside_it_says_so(box, shell):
    (box.folder / "lib" / "common.sh").unlink()
    said = box.run("build.sh", shell=shell)

    assert said.status == 2
    assert said.text.startswith("error: lib/common.sh is missing\n  fix: ")


def test_without_the_list_of_checksums_nothing_is_built(box, fake_trtexec):
    (box.folder / "SHA256SUMS").unlink()
    said = box.run("build.sh", trtexec=fake_trtexec("10.16"))

    assert said.status == 2
    assert "error: SHA256SUMS is missing or empty\n  fix: copy the bundle again, whole" in said.text
    assert "no sha256sum here" not in said.text


def test_without_a_program_for_checksums_it_says_so_and_goes_on(box, fake_trtexec):
    Path(box.path, "sha256sum").unlink()
    said = box.run("build.sh", trtexec=fake_trtexec("10.16"))

    assert said.status == 0
    assert "note: no sha256sum here" in said.text
    assert notes_of(box)["sha256"] == ""


@pytest.mark.parametrize(
    ("fail", "message"),
    [
        ("killed", "trtexec ended with status 137"),
        ("segfault", "trtexec ended with status 139"),
        ("no-engine", "trtexec says that it succeeded, but wrote no engine"),
    ],
)
def test_a_build_that_fails_keeps_status_and_last_lines_and_the_engine_of_before(box, fake_trtexec, fail, message):
    before = b"ftrt, built before"
    (box.folder / "engine").mkdir()
    (box.folder / "engine" / "model.plan").write_bytes(before)
    said = box.run("build.sh", trtexec=fake_trtexec("10.16", fail=fail))

    assert said.status == 4
    assert f"error: {message}" in said.text
    assert "the last lines of engine/build.log:\n  | " in said.text
    assert notes_of(box, "engine/failed.txt")["message"] == message
    assert (box.folder / "engine" / "model.plan").read_bytes() == before
    assert not (box.folder / "engine" / ".model.plan").exists()


def test_a_measurement_that_fails_leaves_the_results_of_before(box, fake_trtexec):
    trtexec = fake_trtexec("10.16")
    box.run("build.sh", trtexec=trtexec)
    (box.folder / "results").mkdir()
    (box.folder / "results" / "times.json").write_text("measured before")
    said = box.run("bench.sh", trtexec=trtexec, FAKE_TRTEXEC_FAIL="out-of-memory")

    assert said.status == 4
    assert "error: trtexec ended with status 1 while it measured: speed" in said.text
    assert "| [11/20/2026-04:30:37] [E] Unable to create execution context." in said.text
    assert (box.folder / "results" / "times.json").read_text() == "measured before"
    assert not (box.folder / "results.partial").exists()
    assert "OutOfMemory" in (box.folder / "engine" / "bench_failed.log").read_text()
    assert box.run("bench.sh", trtexec=trtexec).status == 0
    assert not (box.folder / "engine" / "bench_failed.log").exists()


def test_an_engine_of_another_trtexec_is_not_measured(box, fake_trtexec):
    box.run("build.sh", trtexec=fake_trtexec("10.16"))
    said = box.run("bench.sh", trtexec=fake_trtexec("11.1"))

    assert said.status == 2
    assert "the engine was built with trtexec v101600, this one is v110100" in said.text


def test_an_engine_that_build_did_not_make_is_not_measured(box, fake_trtexec):
    box.run("build.sh", trtexec=fake_trtexec("10.16"))
    (box.folder / "engine" / "model.plan").write_bytes(b"ftrt of somewhere else")
    said = box.run("bench.sh", trtexec=fake_trtexec("10.16"))

    assert (said.status, said.text.splitlines()[-2]) == (
        2,
        "error: engine/model.plan is not the one that build.sh noted",
    )


def test_a_profile_that_a_release_cannot_take_is_told_there(packed_run, box, fake_trtexec, tmp_path):
    two = evolve(packed_run.profile, optimizations=packed_run.profile.optimizations * 2)
    run = Path(shutil.copytree(packed_run.folder, tmp_path / "run"))
    files.write_json(run / "report.json", evolve(packed_run, profile=two))
    there = evolve(box, folder=pack(run, tmp_path / "two", Wanted(pictures=0)).path)
    old, new = (there.run("build.sh", trtexec=fake_trtexec(version)) for version in ("8.6.1", "9.3"))

    assert old.status == 3
    assert "has 2 optimisation profiles, but trtexec 8.6 takes one (--profile came with 9.0)" in old.text
    assert new.status == 0
    assert [word for word in argv_of(there) if word.startswith("--profile=")] == ["--profile=0", "--profile=1"]


def test_a_model_that_takes_half_gets_its_pictures_as_half(box, fake_trtexec, little_yolo, little_pictures, tmp_path):
    asked = Request(
        model=str(little_yolo), images=little_pictures, half_io=True, toolchain="none", output=tmp_path / "run"
    )
    made = pack(pipeline.engine(asked).folder, tmp_path / "half", Wanted(pictures=1))
    there = evolve(box, folder=made.path)
    for script in ("build.sh", "bench.sh"):
        said = there.run(script, trtexec=fake_trtexec("10.16"))

    assert said.status == 0, said.text
    assert "--loadInputs=images:reference/00.float16.bin" in argv_of(there, "results/outputs.log")
    single, half = ((made.path / "reference" / f"00.float{bits}.bin").stat().st_size for bits in (32, 16))
    assert single == 2 * half == 4 * 3 * 64 * 64


def test_bench_without_an_engine_says_what_comes_first(box):
    said = box.run("bench.sh")

    assert (said.status, said.text) == (2, "error: there is no engine/model.plan yet\n  fix: sh build.sh\n")


def test_a_route_that_is_not_packed_is_refused_with_those_that_are(box):
    said = box.run("build.sh", "int8")

    assert (said.status, said.text) == (
        2,
        "error: this bundle has no route int8\n  fix: take one of: qdq calibrated\n",
    )


def stopped(box, trtexec, number):
    """Stop a build that hangs; gives its exit status and standard error, which ends when trtexec has let go of it."""
    environment = {"PATH": box.path, "TRTEXEC": str(trtexec)}
    with subprocess.Popen(
        ["/bin/sh", str(box.folder / "build.sh")], env=environment, cwd="/", stderr=subprocess.PIPE, text=True
    ) as child:
        log = box.folder / "engine" / "build.log"
        for _ in range(200):
            if log.is_file() and "=== Device" in log.read_text():
                break
            time.sleep(0.05)
        child.send_signal(number)
        said = child.stderr.read()
    return child.returncode, said


@pytest.mark.parametrize(("number", "status"), [(signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_a_build_that_is_stopped_ends_trtexec_and_leaves_nothing_half_written(box, fake_trtexec, number, status):
    trtexec = fake_trtexec("10.16", fail="hang")

    assert stopped(box, trtexec, number) == (status, "stopped: nothing half-written was left\n")
    assert {path.name for path in (box.folder / "engine").iterdir()} == {"build.log"}


def test_a_build_that_is_stopped_kills_a_trtexec_that_does_not_listen(box, fake_trtexec, tmp_path):
    deaf = tmp_path / "trtexec"
    deaf.write_text(f"#!/bin/sh\ntrap '' TERM\nexec '{fake_trtexec('10.16', fail='hang')}' \"$@\"\n")
    deaf.chmod(0o755)

    assert stopped(box, deaf, signal.SIGTERM) == (143, "stopped: nothing half-written was left\n")
    assert {path.name for path in (box.folder / "engine").iterdir()} == {"build.log"}


@pytest.mark.skipif(not shutil.which("setsid"), reason="no setsid is here")
def test_a_build_that_is_stopped_ends_what_a_script_around_trtexec_started(box, fake_trtexec, tmp_path):
    (tmp_path / "posix bin" / "setsid").symlink_to(shutil.which("setsid"))
    around, number = tmp_path / "trtexec", tmp_path / "number"
    real = fake_trtexec("10.16", fail="hang")
    around.write_text(f"#!/bin/sh\n'{real}' \"$@\" &\necho $! >'{number}'\nwait\n")
    around.chmod(0o755)

    assert stopped(box, around, signal.SIGTERM)[0] == 143
    for _ in range(100):
        if not Path(f"/proc/{number.read_text().strip()}/cmdline").is_file():
            break
        time.sleep(0.05)
    else:
        os.kill(int(number.read_text()), signal.SIGKILL)
        pytest.fail("the real trtexec still runs")


def test_a_log_that_cannot_be_written_is_refused_before_a_build(box, fake_trtexec, shell):
    """As in the folder of an engine that root built; the earlier build's log must not pass for this one's."""
    (box.folder / "engine" / "build.log").mkdir(parents=True)

    said = box.run("build.sh", shell=shell, trtexec=fake_trtexec("10.16"))

    assert said.status == 2
    assert "error: cannot write into the folder engine\n  fix: make it writable, or remove it" in said.text
    assert "last lines" not in said.text
