"""The plot shows the figures of the record, and the same record gives the same bytes."""

import xml.etree.ElementTree as ET
from pathlib import Path

import numpy as np
import pytest

from polyyolo.benchmarking.distribution import course, latency
from polyyolo.engines.trtexec_results import read_times
from polyyolo.records import Benchmark
from polyyolo.reports.latency_plot import svg


def benchmark(times, batch=1, name="images"):
    return Benchmark(
        engine=Path("model.plan"),
        sha256="0" * 64,
        shapes={name: (batch, 3, 640, 640)},
        batch=batch,
        images_per_s=1000 * batch / float(times.mean()),
        gpu_compute=latency(times),
        end_to_end=None,
        gpu="NVIDIA H200",
        measured_by="trtexec 8.6.0",
        command=(),
        settings={},
        conditions={},
        course_ms=course(times),
    )


def words(text):
    return [element.text for element in ET.fromstring(text).iter("{http://www.w3.org/2000/svg}text")]


def test_real_times_are_drawn_with_their_figures(shared):
    times = read_times(shared / "fixtures" / "trtexec-8.6.0" / "load_fp16.times.json").compute_ms

    said = words(svg([benchmark(times), benchmark(4 * times, batch=4)]))

    assert "images 1x3x640x640: median 0.4895 ms, p99 0.4917 ms" in said
    assert "images 4x3x640x640: median 1.958 ms, p99 1.967 ms" in said
    assert "2,043 images/s" in said


def test_the_same_benchmark_gives_the_same_bytes():
    times = np.linspace(1, 1.1, 500)

    assert svg([benchmark(times)]) == svg([benchmark(times)])


@pytest.mark.parametrize("times", [np.ones(1), np.ones(100), np.array([0.001, 1000.0])])
def test_one_query_equal_queries_and_extremes_can_be_drawn(times):
    assert "images 1x3x640x640" in svg([benchmark(times)])


def test_a_name_with_mathematics_stays_text():
    assert any("$x_1^2$ 1x3x640x640" in each for each in words(svg([benchmark(np.ones(9), name="$x_1^2$")])))


def test_where_no_single_queries_are_known_there_is_no_plot():
    from attrs import evolve

    known = benchmark(np.ones(9))

    assert svg([evolve(known, gpu_compute=evolve(known.gpu_compute, quantiles_ms=()), course_ms=())]) == ""
    assert svg([]) == ""
