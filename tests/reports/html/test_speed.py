"""Latencies as strips on one scale, so that batches can be held against each other."""

import shlex

from attrs import evolve

from polyyolo.reports.html.speed import strips


def test_the_slowest_query_of_all_is_at_96_percent_and_the_rest_in_proportion(full):
    quick = full.benchmarks[0]
    slow = evolve(quick, gpu_compute=evolve(quick.gpu_compute, median_ms=2.0, max_ms=2.4))

    first, second = strips((quick, slow))

    assert second.places["max"] == 96
    assert first.places["max"] == 48
    assert first.places["median"] == round(0.43 / 2.4 * 96, 2)
    assert list(first.places.values()) == sorted(first.places.values())


def test_the_command_can_be_pasted_into_a_shell(full):
    spaced = evolve(full.benchmarks[0], command=("trtexec", "--loadEngine=my model.plan"))

    assert shlex.split(strips((spaced,))[0].command) == ["trtexec", "--loadEngine=my model.plan"]


def test_nothing_measured_gives_no_strip():
    assert strips(()) == []
