"""A limit on speed makes polyyolo verify measure an engine that nobody has measured yet."""

import shutil

import pytest
from attrs import evolve

from polyyolo import progress
from polyyolo.benchmarking.keeping import benchmarks_of
from polyyolo.files import sha256_of
from polyyolo.models.spec import read_spec
from polyyolo.records import Limits
from polyyolo.verification.subject import Subject
from polyyolo.verifying import benchmarks_here

LIMITS = Limits(max_latency_ms=1)


@pytest.fixture
def subject(little_dynamic, dynamic_plan, monkeypatch):
    """An engine of batch 1 to 8, best at 4, and trtexec 10.16."""
    program, path = dynamic_plan("10.16")
    monkeypatch.setenv("TRTEXEC", str(program))
    return Subject(evolve(read_spec(little_dynamic), path=path, sha256=sha256_of(path)), is_engine=True)


def test_an_engine_is_measured_at_what_it_is_best_at_and_only_once(subject, tmp_path, monkeypatch):
    (found,) = benchmarks_here(subject, LIMITS, tmp_path)
    monkeypatch.setenv("FAKE_TRTEXEC_FAIL", "killed")

    assert found.shapes == {"images": (4, 3, 64, 64)}
    assert benchmarks_of(subject.spec.path, tmp_path) == (found,)
    assert benchmarks_of(subject.spec.path) == (), "the engine's own folder may not be ours to write to"
    assert benchmarks_here(subject, LIMITS, tmp_path) == (found,)


@pytest.mark.parametrize("limits", [Limits(), Limits(max_drop=1)])
def test_without_a_limit_on_speed_nothing_is_measured(subject, tmp_path, limits):
    assert benchmarks_here(subject, limits, tmp_path / "out") == ()
    assert not (tmp_path / "out").exists()


def test_an_onnx_has_no_speed(subject, tmp_path):
    assert benchmarks_here(evolve(subject, is_engine=False), LIMITS, tmp_path) == ()


def test_where_nothing_measures_the_limit_stays_unproven_and_a_warning_says_what_to_install(
    subject, tmp_path, monkeypatch
):
    monkeypatch.delenv("TRTEXEC")
    monkeypatch.setenv("PATH", str(tmp_path))
    assert shutil.which("trtexec") is None

    with progress.recording() as told:
        assert benchmarks_here(subject, LIMITS, tmp_path) == ()

    assert "nothing here measures" in told.warnings[0].message
