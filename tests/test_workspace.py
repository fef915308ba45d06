"""A run's folder: what is valid is reused, what is new appears whole, what was there stays until then."""

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest
from attrs import frozen

from polyyolo import files, progress
from polyyolo.errors import InputError, ToolchainError
from polyyolo.installed import versions_of
from polyyolo.workspace import Workspace


@frozen
class Made:
    """What a step of these tests gives."""

    text: str


class Heard(progress.Silent):
    def __init__(self):
        self.notes = []

    def noted(self, message):
        self.notes.append(message)


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "run"


def write(space, name, text, step="write", also=()):
    """Do a step that writes ``text`` to ``name``, and tell whether it was really done."""
    done = []

    def make():
        done.append(step)
        space.path(name).write_text(text)
        return Made(text)

    result = space.step(step, {"text": text, "also": list(also)}, [name], make, Made)
    assert result == Made(text)
    return bool(done)


def stopped(folder, *texts, by=KeyboardInterrupt):
    """A run that is stopped after a step for each text."""
    with Workspace.open(folder) as space:
        for number, text in enumerate(texts):
            write(space, f"{number}.txt", text, f"step {number}")
        raise by


def run(folder, *texts):
    """A run of one step for each text; gives which were really done."""
    with Workspace.open(folder) as space:
        done = [write(space, f"{number}.txt", text, f"step {number}") for number, text in enumerate(texts)]
        space.publish()
    return done


def listing(folder):
    return {
        str(path.relative_to(folder)): path.read_text()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name not in ("steps.json", ".lock")
    }


def test_a_second_run_reuses_everything_and_says_from_how_much_work(folder):
    heard = Heard()
    run(folder, "one", "two")

    with progress.listening(heard):
        assert run(folder, "one", "two") == [False, False]

    assert [note.split(":")[0] for note in heard.notes] == ["step 0", "step 1"]
    assert "reused from" in heard.notes[0]
    assert listing(folder) == {"0.txt": "one", "1.txt": "two"}


def test_what_changed_is_done_again_and_nothing_else(folder):
    run(folder, "one", "two")

    assert run(folder, "one", "three") == [False, True]
    assert listing(folder) == {"0.txt": "one", "1.txt": "three"}


@pytest.mark.parametrize("harm", [lambda path: path.write_text("other"), Path.unlink], ids=["changed", "deleted"])
def test_a_file_changed_on_the_disk_is_made_again(folder, harm):
    run(folder, "one", "two")
    harm(folder / "1.txt")

    assert run(folder, "one", "two") == [False, True]
    assert listing(folder) == {"0.txt": "one", "1.txt": "two"}


def test_another_version_of_polyyolo_reuses_nothing(folder, monkeypatch):
    run(folder, "one")
    monkeypatch.setattr("polyyolo.workspace.__version__", "999")

    assert run(folder, "one") == [True]


def test_another_release_of_what_computes_reuses_nothing(folder, monkeypatch):
    run(folder, "one")
    monkeypatch.setattr("polyyolo.workspace.versions_of", lambda: {"onnxruntime": "999"})

    assert run(folder, "one") == [True]


def test_releases_are_told_whatever_underscores_their_names_have():
    """Its metadata calls it onnx_graphsurgeon."""
    assert {"numpy", "onnx", "onnx-graphsurgeon", "onnxruntime"} <= set(versions_of())


def test_the_seconds_of_a_reused_step_are_those_of_the_work(folder):
    run(folder, "one")
    before = files.read_json(folder / "steps.json", dict)["steps"]["step 0"]["seconds"]
    run(folder, "one")

    assert files.read_json(folder / "steps.json", dict)["steps"]["step 0"]["seconds"] == before


def test_a_run_that_fails_leaves_earlier_results_as_they_were(folder):
    run(folder, "one", "two")
    before = {path.name: (path.read_bytes(), path.stat().st_ino) for path in folder.iterdir() if path.is_file()}

    with pytest.raises(ZeroDivisionError):
        stopped(folder, "new", by=ZeroDivisionError)

    assert {path.name: (path.read_bytes(), path.stat().st_ino) for path in folder.iterdir() if path.is_file()} == before


def test_a_run_resumes_where_an_interrupted_one_stopped(folder):
    with pytest.raises(KeyboardInterrupt):
        stopped(folder, "one")

    assert run(folder, "one", "two") == [False, True]
    assert listing(folder) == {"0.txt": "one", "1.txt": "two"}


@pytest.mark.parametrize(
    ("texts", "by", "told"),
    [
        (["one"], KeyboardInterrupt, ["1 finished step kept: the same command goes on from there"]),
        (["one", "two"], SystemExit, ["2 finished steps kept: the same command goes on from there"]),
        ([], KeyboardInterrupt, []),
        (["one"], ZeroDivisionError, []),
    ],
)
def test_an_interrupted_run_says_what_the_next_one_need_not_do(folder, texts, by, told):
    heard = Heard()
    with progress.listening(heard), pytest.raises(by):
        stopped(folder, *texts, by=by)

    assert heard.notes == told


def test_an_interrupted_publish_costs_nothing(folder, monkeypatch):
    run(folder, "one", "two")
    replace, moved = Path.replace, []

    def replace_once(path, target):
        moved.append(target)
        if len(moved) == 3:  # the new ledger in .partial, the first file, and then the lights go out
            raise KeyboardInterrupt
        return replace(path, target)

    with monkeypatch.context() as patch, Workspace.open(folder) as space:
        write(space, "0.txt", "new one", "step 0")
        write(space, "1.txt", "new two", "step 1")
        patch.setattr(Path, "replace", replace_once)
        with pytest.raises(KeyboardInterrupt):
            space.publish()

    assert run(folder, "new one", "new two") == [False, False]
    assert listing(folder) == {"0.txt": "new one", "1.txt": "new two"}


def test_results_are_not_seen_before_they_are_published(folder):
    with Workspace.open(folder) as space:
        write(space, "0.txt", "one", "step 0")
        assert not (folder / "0.txt").exists()
        space.publish()

    assert sorted(path.name for path in folder.iterdir()) == [".lock", "0.txt", "steps.json"]


def test_what_a_run_no_longer_makes_is_removed_and_what_is_not_ours_stays(folder):
    run(folder, "one", "two", "three")
    (folder / "notes.txt").write_text("mine")
    heard = Heard()

    with progress.listening(heard):
        run(folder, "one")

    assert listing(folder) == {"0.txt": "one", "notes.txt": "mine"}
    assert heard.notes[-1] == f"{folder}/1.txt and 1 more of the earlier run removed: this one made none of that name"


@pytest.mark.parametrize("place", ["1.txt", "1.txt/deeper"])
def test_a_folder_where_an_earlier_result_was_does_not_stop_the_results_of_a_run(folder, place):
    """It is no run's, so it stays as well."""
    run(folder, "one", "two")
    (folder / "1.txt").unlink()
    (folder / place).mkdir(parents=True)

    run(folder, "new")

    assert listing(folder) == {"0.txt": "new"}
    assert (folder / place).is_dir()
    assert not (folder / ".partial").exists()


def test_a_file_where_the_folder_of_earlier_results_was_does_not_either(folder):
    with Workspace.open(folder) as space:
        space.path("pictures").mkdir()
        write(space, "pictures/a.txt", "drawn")
        space.publish()
    (folder / "pictures" / "a.txt").unlink()
    (folder / "pictures").rmdir()
    (folder / "pictures").write_text("mine")

    run(folder, "new")

    assert listing(folder) == {"0.txt": "new", "pictures": "mine"}


@pytest.mark.parametrize("name", ["", ".", "/etc/passwd", "../other"])
def test_a_ledger_that_names_what_is_no_file_of_the_run_is_not_believed(folder, name):
    run(folder, "one")
    ledger = (folder / "steps.json").read_text()
    (folder / "steps.json").write_text(ledger.replace('"0.txt"', f'"{name}"'))

    assert run(folder, "new") == [True]
    assert listing(folder) == {"0.txt": "new"}


def test_a_folder_of_outputs_is_kept_file_by_file(folder):
    def pictures(space, *names):
        def make():
            space.path("pictures").mkdir(exist_ok=True)
            for name in names:
                (space.path("pictures") / name).write_text(name)
            return Made("drawn")

        space.step("draw", {"names": names}, ["pictures"], make, Made)
        space.publish()

    with Workspace.open(folder) as space:
        pictures(space, "a", "b")
    with Workspace.open(folder) as space:
        pictures(space, "b", "c")

    assert listing(folder) == {"pictures/b": "b", "pictures/c": "c"}


def test_what_an_interrupted_step_left_is_no_result_of_the_next(folder):
    """Pictures of a run that was stopped must not turn up in the report of another."""

    def draw(space, name):
        space.path("pictures").mkdir(exist_ok=True)
        (space.path("pictures") / name).write_text(name)

    def interrupted(space):
        draw(space, "old")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt), Workspace.open(folder) as space:
        space.step("draw", {"of": 1}, ["pictures"], lambda: interrupted(space), Made)
    with Workspace.open(folder) as space:
        space.step("draw", {"of": 2}, ["pictures"], lambda: (draw(space, "new"), Made("drawn"))[1], Made)
        space.publish()

    assert listing(folder) == {"pictures/new": "new"}


def test_a_step_that_writes_in_place_does_not_reach_earlier_results(folder):
    """A reused file is a link to the published one: what writes a log line by line must not write into that."""
    run(folder, "old log")
    with pytest.raises(KeyboardInterrupt):
        stopped(folder, "old log")

    with pytest.raises(KeyboardInterrupt):
        stopped(folder, "half of a new l")

    assert listing(folder)["0.txt"] == "old log"


def test_a_file_system_without_links_works_too(folder, monkeypatch):
    def refuse(*_):
        raise OSError(errno.EPERM, "no links here")

    run(folder, "one", "two")
    monkeypatch.setattr(os, "link", refuse)

    assert run(folder, "one", "three") == [False, True]
    assert listing(folder) == {"0.txt": "one", "1.txt": "three"}


@pytest.mark.parametrize(
    "damaged",
    ["", "{", "[]", '{"steps": {"step 0": {}}}', '{"steps": {"step 0": {"key": 3}}}', "\x00\xff"],
    ids=["empty", "torn", "other", "no fields", "wrong types", "bytes"],
)
def test_a_damaged_ledger_means_that_nothing_is_reused(folder, damaged):
    heard = Heard()
    run(folder, "one")
    (folder / "steps.json").write_text(damaged)

    with progress.listening(heard):
        assert run(folder, "one") == [True]

    assert heard.notes == ["steps.json cannot be read: every step is done again"]
    assert run(folder, "one") == [False]


def test_a_ledger_whose_result_is_something_else_is_not_believed(folder):
    run(folder, "one")
    ledger = (folder / "steps.json").read_text()
    (folder / "steps.json").write_text(ledger.replace('"text": "one"', '"colour": "one"'))

    assert run(folder, "one") == [True]


def test_two_runs_at_once_into_one_folder_are_refused(folder):
    script = (
        "import sys; from pathlib import Path; from polyyolo.workspace import Workspace\n"
        "with Workspace.open(Path(sys.argv[1])): print('held', flush=True); sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script, folder], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdout.readline() == "held\n"
        with pytest.raises(InputError, match="another run is writing to") as refused, Workspace.open(folder):
            pass
        other.kill()

    assert "another folder with -o" in refused.value.fix
    assert run(folder, "one") == [True], "the lock goes with the process"


def test_a_folder_can_be_held_again_after_a_run(folder):
    for _ in range(3):
        with Workspace.open(folder):
            pass


@pytest.mark.parametrize(
    ("number", "kind", "words"),
    [
        (errno.ENOSPC, ToolchainError, "no space is left"),
        (errno.EDQUOT, ToolchainError, "no space is left"),
        (errno.EACCES, InputError, "cannot write below"),
        (errno.EROFS, InputError, "cannot write below"),
    ],
)
def test_a_folder_that_takes_no_file_is_told_as_such(folder, monkeypatch, number, kind, words):
    """A full disk, a quota, a folder of somebody else's, a read-only file system."""
    run(folder, "one")
    before = listing(folder)

    def refuse(*_, **__):
        raise OSError(number, os.strerror(number))

    with monkeypatch.context() as patch:
        patch.setattr("pathlib.Path.touch", refuse)
        with pytest.raises(kind, match=words) as refused, Workspace.open(folder) as space:
            write(space, "0.txt", "two", "step 0")

    assert "-o" in refused.value.fix
    assert listing(folder) | {".partial/0.txt": "two"} == before | {".partial/0.txt": "two"}
    assert run(folder, "one") == [False]


def test_a_file_where_the_folder_should_be_is_told_as_such(tmp_path):
    (tmp_path / "run").write_text("a file")

    with pytest.raises(InputError, match="is a file, not a folder"), Workspace.open(tmp_path / "run"):
        pass


def test_a_picture_that_may_not_be_read_is_not_blamed_on_the_folder(folder):
    def refuse():
        raise PermissionError(errno.EACCES, "Permission denied", "/elsewhere/picture.jpg")

    with pytest.raises(InputError, match=r"cannot use /elsewhere/picture\.jpg"), Workspace.open(folder) as space:
        space.step("read", {}, [], refuse, Made)


def test_a_reused_step_tells_again_what_it_warned_of(folder):
    """A second run rests on the same work, and so on the same doubts."""

    def make():
        progress.warn("few pictures", "give more")
        return Made("x")

    def told():
        with Workspace.open(folder) as space, progress.recording() as heard:
            space.step("count", {}, [], make, Made)
            space.publish()
        return space.reused, heard.warnings

    warning = progress.Warned("few pictures", "give more")
    assert told() == ([], [warning])
    assert told() == (["count"], [warning])


def test_a_step_is_taken_over_from_another_run_into_which_the_same_went(tmp_path):
    """Comparing precisions prepares and calibrates once; a lender that was interrupted lends too."""
    lender, broken = tmp_path / "fp32", tmp_path / "int8"
    with Workspace.open(lender) as space:
        space.step("prepare", {"model": "a"}, ["model.onnx"], lambda: space.path("model.onnx").write_text("made"), int)
        space.publish()
    with Workspace.open(broken) as space:
        space.step("calibrate", {"set": 1}, ["table"], lambda: space.path("table").write_text("ranges"), int)

    with Workspace.open(tmp_path / "fp16", [lender, broken]) as space:
        assert space.step("prepare", {"model": "a"}, ["model.onnx"], pytest.fail, int) == 4
        assert space.step("calibrate", {"set": 1}, ["table"], pytest.fail, int) == 6
        made = space.step("build", {"model": "a"}, ["plan"], lambda: space.path("plan").write_text("x"), int)
        space.publish()

    assert (made, space.reused) == (1, ["prepare", "calibrate"])
    assert {each.name: each.read_text() for each in (tmp_path / "fp16").iterdir() if each.name != "steps.json"} == {
        ".lock": "",
        "model.onnx": "made",
        "table": "ranges",
        "plan": "x",
    }
    assert (lender / "model.onnx").read_text() == "made"


def test_a_lenders_step_is_done_again_where_something_else_goes_into_it_or_its_file_changed(tmp_path):
    lender = tmp_path / "fp32"
    with Workspace.open(lender) as space:
        for name in ("one", "two"):
            space.step(name, {"model": "a"}, [name], lambda name=name: space.path(name).write_text("made"), int)
        space.publish()
    (lender / "two").write_text("something else")

    with Workspace.open(tmp_path / "fp16", [lender, tmp_path / "gone"]) as space:
        space.step("one", {"model": "b"}, ["one"], lambda: space.path("one").write_text("anew"), int)
        space.step("two", {"model": "a"}, ["two"], lambda: space.path("two").write_text("anew"), int)

    assert space.reused == []


@pytest.mark.parametrize("ended", [1, 2])
def test_what_a_run_had_published_when_it_was_ended_is_removed_by_one_that_makes_none(folder, monkeypatch, ended):
    run(folder, "one")
    replace, moved = Path.replace, []

    def replace_once(path, target):
        moved.append(target)
        if len(moved) == 2 + ended:  # the new ledger in .partial, some files, and then it was killed
            raise SystemExit
        return replace(path, target)

    with monkeypatch.context() as patch, Workspace.open(folder) as space:
        for number, text in enumerate(("one", "two", "three")):
            write(space, f"{number}.txt", text, f"step {number}")
        patch.setattr(Path, "replace", replace_once)
        with pytest.raises(SystemExit):
            space.publish()

    assert run(folder, "one") == [False]
    assert listing(folder) == {"0.txt": "one"}


def test_a_file_like_one_of_a_run_that_was_ended_before_it_published_stays(folder):
    with pytest.raises(KeyboardInterrupt):
        stopped(folder, "one", "two")
    (folder / "1.txt").write_text("mine")

    run(folder, "one")

    assert listing(folder) == {"0.txt": "one", "1.txt": "mine"}


def test_a_folder_of_results_that_may_not_be_written_to_is_found_before_any_is_replaced(folder, monkeypatch):
    with Workspace.open(folder) as space:
        space.path("below").mkdir()
        write(space, "0.txt", "one", "step 0")
        write(space, "below/1.txt", "two", "step 1")
        space.publish()
    asked, refuse = [], files.refuse_unwritable

    def refuse_below(place, **options):
        asked.append(place.name)
        if place.name == "below":
            raise InputError(f"cannot write below {place}")
        refuse(place, **options)

    monkeypatch.setattr(files, "refuse_unwritable", refuse_below)
    with Workspace.open(folder) as space:
        space.path("below").mkdir()
        write(space, "0.txt", "new", "step 0")
        write(space, "below/1.txt", "new", "step 1")
        with pytest.raises(InputError, match="cannot write below"):
            space.publish()

    assert listing(folder)["0.txt"] == "one"


def test_a_file_where_a_folder_of_results_goes_is_in_the_way(folder):
    run(folder, "one")
    (folder / "below").write_text("mine")
    with Workspace.open(folder) as space:
        space.path("below").mkdir()
        write(space, "below/1.txt", "two", "step 1")
        with pytest.raises(InputError, match="below is in the way of the results"):
            space.publish()
