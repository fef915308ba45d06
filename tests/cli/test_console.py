"""The edge between polyyolo and a terminal."""

import errno
import io
from contextlib import suppress
from pathlib import Path

import click
import pytest

from polyyolo import cli as polyyolo
from polyyolo import progress
from polyyolo.cli.console import Bars, Edge, bars, print_json
from polyyolo.errors import InputError, ModelError, ToolchainError, ToolFailed


@pytest.fixture
def outcome(capsys):
    """Run a command that does ``what``; gives exit code, standard output and standard error."""

    def run(what, *words):
        group = Edge("tool")
        group.command("go")(what)
        with pytest.raises(SystemExit) as left:
            group.main(["go", *words])
        said = capsys.readouterr()
        return left.value.code, said.out, said.err

    return run


def raising(error):
    def fail():
        raise error

    return fail


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (InputError("3 is too few", fix="give 4"), 2),
        (ToolchainError("3 is too few", fix="give 4"), 3),
        (ToolFailed("3 is too few", fix="give 4"), 4),
    ],
)
def test_an_error_becomes_two_lines_and_its_exit_code(outcome, error, code):
    assert outcome(raising(error)) == (code, "", "error: 3 is too few\n  fix: give 4\n")


def test_an_error_without_a_fix_is_one_line(outcome):
    assert outcome(raising(InputError("no"))) == (2, "", "error: no\n")


def test_a_failed_tool_shows_its_command_last_words_and_log(outcome, tmp_path):
    error = ToolFailed("trtexec failed", argv=["trtexec", "--int8"], tail="out of memory", log_path=tmp_path / "log")

    assert outcome(raising(error))[2].splitlines()[1:] == [
        "  ran: trtexec --int8",
        "  said: out of memory",
        f"  log: {tmp_path / 'log'}",
    ]


@pytest.mark.parametrize("stopped", [KeyboardInterrupt, click.Abort])
def test_ctrl_c_exits_130(outcome, stopped):
    code, _, err = outcome(raising(stopped()))

    assert code == 130
    assert "interrupted" in err


def test_a_bug_keeps_its_traceback():
    group = Edge("tool")
    group.command("go")(raising(ZeroDivisionError("a bug")))

    with pytest.raises(ZeroDivisionError, match="a bug"):
        group.main(["go"])


def test_a_package_that_cannot_be_imported_is_told_and_a_module_of_our_own_keeps_its_traceback(outcome):
    """OpenCV's wheel needs system libraries that small containers lack."""
    error = ImportError("libGL.so.1: cannot open shared object file: No such file or directory")

    assert outcome(raising(error)) == (
        3,
        "",
        f"error: a package cannot be imported: {error}\n  fix: polyyolo doctor tells what to do\n",
    )
    with pytest.raises(ModuleNotFoundError):
        outcome(raising(ModuleNotFoundError("No module named 'polyyolo.x'", name="polyyolo.x")))


def test_a_current_folder_that_is_gone_is_told(outcome, tmp_path, monkeypatch):
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()

    code, _, err = outcome(Path.cwd)

    assert (code, err.splitlines()[0]) == (2, "error: the current folder is there no more")


def test_another_file_that_is_not_there_keeps_its_traceback(outcome, tmp_path):
    with pytest.raises(FileNotFoundError):
        outcome((tmp_path / "none").read_text)


@pytest.mark.parametrize(("encoding", "told"), [("utf-8", "x\\udcff 模"), ("latin-1", "x\\udcff \\u6a21")])
def test_what_the_terminal_cannot_write_is_spelt_out(outcome, monkeypatch, encoding, told):
    """Names of files and layers may hold anything."""
    terminal = io.TextIOWrapper(io.BytesIO(), encoding)
    monkeypatch.setattr("sys.stdout", terminal)

    code, _, _ = outcome(lambda: click.echo("x\udcff 模"))

    terminal.flush()
    assert (code, terminal.buffer.getvalue().decode(encoding).strip()) == (0, told)


def test_a_full_disk_behind_standard_output_is_one_error(outcome, monkeypatch):
    with suppress(OSError), Path("/dev/full").open("w") as full, monkeypatch.context() as patched:  # closing fails
        patched.setattr("sys.stdout", full)
        code, _, err = outcome(lambda: click.echo("much"))

    assert code == 3
    assert err == "error: no space is left on the disk for what is printed or written\n  fix: free some space\n"


@pytest.mark.parametrize(("said", "told"), [("Unable to allocate 4 GiB", ": Unable to allocate 4 GiB"), ("", "")])
def test_too_little_memory_is_one_error_with_a_fix(outcome, said, told):
    code, _, err = outcome(raising(MemoryError(said)))

    assert code == 3
    assert err.startswith(f"error: there is not enough memory{told}\n  fix: end other programs")


def test_too_little_memory_for_onnx_runtime_is_no_fault_of_the_model(outcome):
    error = ModelError("ONNX Runtime cannot run it", fix="look at the model")
    error.__cause__ = RuntimeError("bfc_arena.cc:360 \nFailed to allocate memory for requested buffer of size 13107200")

    code, _, err = outcome(raising(error))

    assert code == 3
    assert err.startswith("error: there is not enough memory: bfc_arena.cc:360 Failed to allocate memory")


@pytest.mark.parametrize("error", [InputError("wrong", fix="right it"), click.UsageError("wrong")])
def test_the_exit_code_tells_where_standard_error_cannot_be_written_to(monkeypatch, error):
    with suppress(OSError), Path("/dev/full").open("w") as full:
        monkeypatch.setattr("sys.stderr", full)
        group = Edge("polyyolo", commands=[click.Command("go", callback=raising(error))])
        with pytest.raises(SystemExit) as left:
            group.main(["go"])
        monkeypatch.undo()

    assert left.value.code == 2


def test_a_wrong_option_is_clicks_own_error(outcome):
    code, _, err = outcome(lambda: None, "--no-such-option")

    assert code == 2
    assert "No such option" in err


def test_a_verb_that_is_misspelt_is_guessed(capsys):
    with pytest.raises(SystemExit) as left:
        polyyolo.main(["engnie", "model.onnx"])

    assert left.value.code == 2
    assert "No such command 'engnie'. Did you mean 'engine'?" in capsys.readouterr().err


def test_success_exits_0_and_an_exit_code_of_a_command_stays(outcome):
    assert outcome(lambda: click.echo("done")) == (0, "done\n", "")
    assert outcome(lambda: click.get_current_context().exit(7))[0] == 7
    assert outcome(raising(SystemExit(5)))[0] == 5


def work():
    with progress.step("count", 2):
        progress.advance("count")
        progress.advance("count")
    with progress.step("build"):
        pass
    progress.advance("no such step")
    progress.warn("odd [bold]value[/bold]", "look")
    progress.note("seen")


@pytest.fixture
def terminal(monkeypatch):
    """Let standard error pass for a terminal."""
    for name, value in (("TERM", "xterm"), ("TTY_INTERACTIVE", "1"), ("COLUMNS", "100")):
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("CI", raising=False)


def test_without_a_terminal_each_step_is_a_line_when_it_starts(capsys):
    with bars() as drawn:
        with progress.step("count", 2):
            assert capsys.readouterr() == ("", "count (2) ...\n")
            progress.advance("count")
        work()
    said = capsys.readouterr()

    lines = ["count (2) ...", "build ...", "warning: odd [bold]value[/bold]", "  fix: look", "seen"]
    assert (said.out, said.err.splitlines()) == ("", lines)
    assert drawn.notes == ["seen"]


def test_a_long_step_says_how_far_it_is_every_half_minute(capsys, monkeypatch):
    clock = iter([0.0, 29.0, 30.0, 30.0, 59.0])
    monkeypatch.setattr("polyyolo.cli.console.time.monotonic", lambda: next(clock))

    with bars(), progress.step("count", 9):
        for _ in range(3):
            progress.advance("count")

    assert capsys.readouterr().err.splitlines() == ["count (9) ...", "count: 2 of 9"]


def test_what_never_began_as_a_step_has_no_line_of_its_own(capsys):
    """A page of a package index is read without a step, and its bytes were told as ": 1"."""
    with bars():
        progress.advance("", 1)

    assert capsys.readouterr() == ("", "")


@pytest.mark.usefixtures("terminal")
def test_bars_warnings_and_notes_go_to_standard_error(capsys):
    with bars() as drawn:
        work()
    said = capsys.readouterr()

    assert said.out == ""
    assert "count" in said.err
    assert "2/2" in said.err
    assert "1/1" in said.err, "a step without a total is full when it is done"
    assert "warning: odd [bold]value[/bold]" in said.err
    assert "  fix: look" in said.err
    assert "seen" in said.err
    assert drawn.warnings == [{"message": "odd [bold]value[/bold]", "fix": "look"}]


def test_quiet_draws_nothing_and_keeps_the_warnings(capsys):
    with bars(quiet=True) as drawn:
        work()

    assert capsys.readouterr() == ("", "")
    assert drawn.warnings == [{"message": "odd [bold]value[/bold]", "fix": "look"}]
    assert drawn.notes == ["seen"]


@pytest.mark.usefixtures("terminal")
def test_a_step_that_comes_again_starts_its_bar_anew(capsys):
    with bars():
        work()
        with progress.step("count", 5):
            progress.advance("count")

    assert "1/5" in capsys.readouterr().err


def test_nothing_is_heard_after_the_block(capsys):
    with bars(quiet=True) as drawn:
        pass
    progress.warn("late", "")

    assert drawn.warnings == []
    assert capsys.readouterr() == ("", "")


def test_bars_that_were_never_drawn_can_be_told_anything():
    drawn = Bars(quiet=True)

    drawn.started("a", 1)
    drawn.advanced("a", 1)
    drawn.finished("a")

    assert drawn.warnings == []


def test_json_is_indented_and_ends_its_line(capsys):
    print_json({"a": [1]})

    assert capsys.readouterr().out == '{\n  "a": [\n    1\n  ]\n}\n'


def test_what_stops_a_package_while_it_loads_is_no_package_that_lacks(outcome):
    """A native module that is stopped then raises an ImportError of its own."""

    error = ImportError("initialization failed")
    error.__cause__ = KeyboardInterrupt()

    assert outcome(raising(error)) == (130, "", "interrupted: nothing half-written was left\n")


@pytest.mark.parametrize("number", [errno.EACCES, errno.EPERM])
def test_a_place_that_may_not_be_used_is_told(outcome, number):
    code, _, err = outcome(raising(OSError(number, "Permission denied", "/closed/x")))

    assert code == 2
    assert "/closed/x cannot be used: Permission denied" in err
    assert "give yourself permission" in err
