"""polyyolo report, as it is typed: written again, elsewhere, and refused with a reason."""

import json
import shutil

import pytest
from attrs import evolve

from polyyolo import files, pipeline
from polyyolo.bundling import returned
from polyyolo.records import Check, Outcome, Request, Run, Verdict


@pytest.fixture(scope="module")
def made(little_yolo, little_pictures, tmp_path_factory):
    """A finished run, made once."""
    folder = tmp_path_factory.mktemp("made") / "run"
    pipeline.engine(Request(str(little_yolo), images=little_pictures, toolchain="none", output=folder))
    return folder


@pytest.fixture
def run(made, tmp_path):
    """A copy of it, in another place than it was made."""
    return shutil.copytree(made, tmp_path / "moved run")


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}


def test_every_run_leaves_a_page_that_shows_its_pictures(made):
    text = (made / "report.html").read_text("utf-8")

    shown = files.read_json(made / "report.json", Run).fidelity.shown
    assert text.count('class="slider"') == len(shown) >= 1
    assert "data:image/jpeg" in text


def test_lost_reports_are_written_again_as_they_were_but_for_the_folder(polyyolo, run, made):
    for name in ("report.html", "report.md", "sensitivity.svg"):
        (run / name).unlink()

    code, out, _ = polyyolo("report", run)

    assert code == 0
    assert [line.split(":")[0] for line in out.splitlines()[1:]] == [
        str(run / name) for name in ("report.html", "report.md", "sensitivity.svg")
    ]
    assert (run / "sensitivity.svg").read_bytes() == (made / "sensitivity.svg").read_bytes()
    assert (run / "report.json").read_bytes() == (made / "report.json").read_bytes()


def test_the_page_alone_goes_where_it_is_wanted(polyyolo, run, tmp_path):
    before = contents(run)

    code, out, _ = polyyolo("report", run, "-o", tmp_path / "mine" / "page.html", "--json")

    told = json.loads(out)
    page = tmp_path / "mine" / "page.html"
    assert code == 0
    assert told["written"] == [{"path": str(page), "bytes": page.stat().st_size}]
    assert told["outcome"] == "UNPROVEN"
    assert contents(run) == before


def test_a_folder_without_a_run_is_refused(polyyolo, tmp_path):
    code, _, err = polyyolo("report", tmp_path)

    assert code == 2
    assert f"{tmp_path} holds no report.json" in err
    assert "fix: name the folder that polyyolo engine wrote to" in err


def test_a_folder_that_is_not_there_is_refused_and_not_made(polyyolo, tmp_path):
    code, _, err = polyyolo("report", tmp_path / "nowhere")

    assert code == 2
    assert f"{tmp_path / 'nowhere'} is not there" in err
    assert not (tmp_path / "nowhere").exists()


def test_a_record_of_a_newer_version_names_it(polyyolo, run):
    record = json.loads((run / "report.json").read_text())
    (run / "report.json").write_text(json.dumps({**record, "energy_j": 3}))
    manifest = json.loads((run / "manifest.json").read_text())
    manifest["versions"]["polyyolo"] = "9.1"
    (run / "manifest.json").write_text(json.dumps(manifest))

    code, _, err = polyyolo("report", run)

    assert code == 2
    assert "energy_j" in err
    assert "polyyolo 9.1 wrote it" in err


def test_a_record_of_an_older_version_lacks_what_is_new_and_is_still_read(polyyolo, run):
    record = json.loads((run / "report.json").read_text())
    for name in ("request", "warnings", "in_float", "benchmarks", "engine_layers"):
        del record[name]
    del record["fidelity"]["shown"]
    (run / "report.json").write_text(json.dumps(record))

    code, _, _ = polyyolo("report", run)

    assert code == 0
    assert 'class="slider"' in (run / "report.html").read_text("utf-8")


@pytest.mark.parametrize("keep", [0, 1, 100, 5000])
def test_a_torn_record_is_refused_with_what_to_do(polyyolo, run, keep):
    (run / "report.json").write_bytes((run / "report.json").read_bytes()[:keep])
    before = contents(run)

    code, _, err = polyyolo("report", run)

    assert code == 2
    assert f"cannot read {run / 'report.json'}" in err
    assert "fix: run polyyolo engine again into the same folder" in err
    assert contents(run) == before


@pytest.mark.parametrize("content", [b"", b"[]", b"{", b"\xff", b"[" * 100_000])
def test_a_damaged_manifest_costs_the_manifest_only(polyyolo, run, content):
    (run / "manifest.json").write_bytes(content)

    code, _, err = polyyolo("report", run)

    assert code == 0
    assert f"{run / 'manifest.json'} is lost or damaged" in err
    assert "<summary>Manifest" not in (run / "report.html").read_text("utf-8")


def test_lost_pictures_become_a_warning_in_the_page(polyyolo, run):
    shutil.rmtree(run / "pictures")

    code, _, _ = polyyolo("report", run)

    text = (run / "report.html").read_text("utf-8")
    assert code == 0
    assert "Not to be read any more: pictures/01-" in text
    assert 'class="slider"' not in text


def test_a_folder_that_cannot_be_written_to_is_told_and_o_helps(polyyolo, run, tmp_path, monkeypatch):
    """Root may write everywhere, so that the refusal is the operating system's by hand."""

    def refuse(*_, **__):
        raise PermissionError(13, "Permission denied", str(run))

    with monkeypatch.context() as patch:
        patch.setattr("pathlib.Path.touch", refuse)
        patch.setattr("filelock.FileLock.acquire", lambda *_, **__: refuse())
        code, _, err = polyyolo("report", run)

    assert code == 2
    assert f"cannot write below {run}: Permission denied" in err
    assert "with -o" in err
    assert polyyolo("report", run, "-o", tmp_path / "page.html")[0] == 0


def test_a_folder_as_output_is_refused(polyyolo, run, tmp_path):
    code, _, err = polyyolo("report", run, "-o", tmp_path)

    assert code == 2
    assert f"fix: name a file: -o {tmp_path / 'report.html'}" in err


@pytest.mark.parametrize("name", ["report.json", "model.onnx", "page"])
def test_only_a_file_of_a_pages_name_becomes_one(polyyolo, run, name):
    before = contents(run)

    code, _, err = polyyolo("report", run, "-o", run / name)

    assert code == 2
    assert f"{run / name} is no name of a page" in err
    assert f"-o {(run / name).with_suffix('.html')}" in err
    assert contents(run) == before


def test_a_run_that_is_being_made_is_not_written_into(polyyolo, run):
    with files.locked(run):
        code, _, err = polyyolo("report", run)

    assert code == 2
    assert "another run is writing" in err


def test_what_came_back_joins_the_record(polyyolo, run, tmp_path, monkeypatch):
    """Reading a bundle is tested where bundles are; here its results are kept, and shown."""
    seen = []

    def read_back(folder, record):
        seen.append((folder, record.folder))
        return "results"

    monkeypatch.setattr(returned, "read_back", read_back)
    monkeypatch.setattr(returned, "merged", lambda record, back: evolve(record, licence=f"{back} joined"))

    code, out, _ = polyyolo("report", run, "--from", tmp_path / "bundle")

    assert code == 0
    assert seen == [(tmp_path / "bundle", run)]
    assert files.read_json(run / "report.json", Run).licence == "results joined"
    assert "results joined" in (run / "report.html").read_text("utf-8")
    assert f"\n{run / 'report.json'}: " in out
    assert "\n  PASS      box agreement with FP32" in out
    assert "polyyolo bundle" in out, "what to do about the rest"


@pytest.mark.parametrize(("outcome", "code"), [(Outcome.PASS, 0), (Outcome.UNPROVEN, 0), (Outcome.FAIL, 1)])
def test_what_came_back_decides_the_exit_code(polyyolo, run, monkeypatch, outcome, code):
    verdict = Verdict((Check("speed", "at most 1 ms", "2 ms", outcome),))
    monkeypatch.setattr(returned, "read_back", lambda *_: None)
    monkeypatch.setattr(returned, "merged", lambda record, _: evolve(record, verdict=verdict))

    assert [polyyolo("report", run, "--from", "bundle", *words)[0] for words in ((), ("--json",))] == [code, code]
    assert polyyolo("report", run)[0] == 0, "it was written again, and nothing judged"


def test_a_bundle_that_is_none_is_refused(polyyolo, run, tmp_path):
    before = contents(run)

    code, _, err = polyyolo("report", run, "--from", tmp_path)

    assert code == 2
    assert f"{tmp_path} is no bundle" in err
    assert contents(run) == before
