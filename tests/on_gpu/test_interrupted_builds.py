"""Builds that are killed, stopped, or run out of room: what was there before stays, and nothing else is left."""

import os
import signal
import time
from pathlib import Path

import pytest

pytestmark = pytest.mark.gpu

AT_WORK = {"trtexec": "[TRT]", "polygraphy": "Building engine with configuration"}
"""What a builder says when it has begun, long before it is done."""
PATIENCE_S = 240


def children(parent):
    """Tell the process ids of a process's children."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:  # it has ended meanwhile
            continue
        if int(fields[1]) == parent:
            found.append(int(stat.parent.name))
    return found


def is_gone(process):
    """Tell whether a process has ended; a dead one that nobody waited for has too."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True


def wait_for(condition):
    until = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < until, "it never came to that"
        time.sleep(0.05)


@pytest.fixture
def at_work(jobs, building, little, tmp_path):
    """Start a build over an earlier engine; give it and its builder's process once that is at work."""
    (tmp_path / "e.plan").write_bytes(b"an earlier engine")
    log = tmp_path / "e.plan.log"
    job = jobs.polyyolo("build", little.static, "--program", building, "-o", tmp_path / "e.plan")
    wait_for(lambda: job.process.poll() is not None or (log.exists() and AT_WORK[building] in log.read_text()))
    assert job.process.poll() is None, str(job.done())
    [builder] = children(job.process.pid)
    return job, builder


@pytest.fixture
def untouched(tmp_path):
    """Tell whether the earlier engine and the log are all that is there."""

    def look():
        assert sorted(path.name for path in tmp_path.iterdir()) == ["e.plan", "e.plan.log"]
        assert (tmp_path / "e.plan").read_bytes() == b"an earlier engine"

    return look


def test_a_builder_that_the_system_kills_leaves_the_earlier_engine(at_work, untouched, building):
    job, builder = at_work

    os.kill(builder, signal.SIGKILL)
    done = job.done()

    assert done.status == 4, str(done)
    assert f"error: {building} was killed by SIGKILL, as the system does when memory runs out" in done.err
    assert done.is_one_clear_error, str(done)
    untouched()


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_build_that_is_stopped_ends_its_builder_and_leaves_the_earlier_engine(at_work, untouched, number, status):
    job, builder = at_work

    job.process.send_signal(number)
    done = job.done()

    assert done.status == status, str(done)
    assert "nothing half-written was left" in done.err
    assert "Traceback" not in done.out + done.err
    assert is_gone(builder)
    untouched()


def test_no_room_for_the_engine_leaves_nothing_of_it(builds, building):
    """RLIMIT_FSIZE plays the full disk: the log fits, the engine does not."""
    done = builds.done(f"full-{building}")

    assert done.status == 3, str(done)
    assert "no space is left on the disk" in done.errors[0]
    assert done.is_one_clear_error, str(done)
    assert "free some space, or choose another folder with -o" in done.err
    assert [path.name for path in (builds.folder / f"full-{building}").iterdir()] == ["e.plan.log"]
