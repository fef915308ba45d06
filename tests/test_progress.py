"""Stages tell of their work; whoever runs them may listen."""

import pytest

from polyyolo import progress


class Recorder:
    def __init__(self):
        self.heard = []

    def started(self, step, total):
        self.heard.append(("started", step, total))

    def advanced(self, step, count):
        self.heard.append(("advanced", step, count))

    def finished(self, step):
        self.heard.append(("finished", step))

    def warned(self, message, fix):
        self.heard.append(("warned", message, fix))

    def noted(self, message):
        self.heard.append(("noted", message))


def test_a_listener_hears_all_of_a_step_and_nothing_afterwards():
    recorder = Recorder()

    with progress.listening(recorder), progress.step("count", 2):
        progress.advance("count")
        progress.advance("count", 3)
        progress.warn("odd", "look")
        progress.note("seen")
    progress.note("not heard")

    assert recorder.heard == [
        ("started", "count", 2),
        ("advanced", "count", 1),
        ("advanced", "count", 3),
        ("warned", "odd", "look"),
        ("noted", "seen"),
        ("finished", "count"),
    ]


def test_an_item_counts_as_done_when_the_next_is_asked_for():
    recorder = Recorder()

    with progress.listening(recorder):
        items = progress.track("ab", "letters", 2)
        next(items)
        assert recorder.heard == [("started", "letters", 2)]
        assert list(items) == ["b"]

    assert recorder.heard[1:] == [("advanced", "letters", 1), ("advanced", "letters", 1), ("finished", "letters")]


def test_a_step_that_fails_is_finished_too():
    recorder = Recorder()

    def fail():
        with progress.listening(recorder), progress.step("work"):
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert recorder.heard[-1] == ("finished", "work")


def test_without_a_listener_everything_is_silent(capsys):
    with progress.step("work"):
        progress.advance("work")
        progress.warn("odd", "look")
        progress.note("seen")

    assert capsys.readouterr() == ("", "")


def test_a_recorder_keeps_each_warning_once_and_the_listener_hears_all_as_before():
    listener = Recorder()

    with progress.listening(listener), progress.recording() as told:
        progress.warn("odd", "look")
        progress.warn("odd", "look")
        progress.warn("few pictures")
        progress.note("seen")

    assert told.warnings == [progress.Warned("odd", "look"), progress.Warned("few pictures", "")]
    assert [heard[0] for heard in listener.heard] == ["warned", "warned", "warned", "noted"]


def test_without_repeats_each_warning_is_heard_once_and_notes_as_they_come():
    listener = Recorder()

    with progress.listening(listener), progress.without_repeats():
        for _ in range(2):
            with progress.recording() as told:
                progress.warn("nothing builds here", "install it")
                progress.note("seen")

    assert [heard[0] for heard in listener.heard] == ["warned", "noted", "noted"]
    assert told.warnings == [progress.Warned("nothing builds here", "install it")]
