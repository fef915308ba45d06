"""Results of trtexec: exports first, the log second, and neither is believed when it is broken."""

import json

import pytest

from polyyolo.engines.trtexec_results import (
    open_inputs_in,
    profiles_in,
    read_summary,
    read_times,
    remarks_in,
    shapes_in,
    value_in,
)
from polyyolo.errors import InputError


@pytest.fixture
def recorded(shared):
    """Give what a recorded run printed on both streams."""

    def read(run):
        folder = shared / "fixtures" / "trtexec-8.6.0"
        return "".join((folder / f"{run}.{stream}").read_text() for stream in ("stdout", "stderr"))

    return read


@pytest.mark.parametrize(
    ("run", "queries_per_s", "compute_ms", "total_ms"),
    [
        ("load_fp16", 2037.33, 0.489502, 0.489502),
        ("load_fp16_default", 1356.48, 0.616089, 0.883423),
        ("load_dyn", 662.911, 1.50293, 2.49296),
        ("load_dyn_sepprofile", 673.844, 1.47882, 2.46771),
    ],
)
def test_the_summary_of_a_real_log_is_read(recorded, run, queries_per_s, compute_ms, total_ms):
    found = read_summary(recorded(run))

    assert (found.queries_per_s, found.compute.median_ms, found.total.median_ms) == (
        queries_per_s,
        compute_ms,
        total_ms,
    )


def test_p99_and_the_number_of_queries_are_read_too(recorded):
    found = read_summary(recorded("load_fp16"))

    assert (found.compute.samples, found.compute.p99_ms, found.compute.min_ms) == (6114, 0.491699, 0.486572)


@pytest.mark.parametrize("run", ["load_dyn_profile", "load_missing", "load_garbage", "build_fp16"])
def test_a_log_without_a_summary_has_none(recorded, run):
    """With --dumpProfile and without --separateProfileRun trtexec prints layers, and no summary."""
    assert read_summary(recorded(run)) is None


def test_explanations_that_begin_like_the_summary_are_not_taken_for_it():
    log = "[V] Latency: the summation of H2D Latency, GPU Compute Time, and D2H Latency.\n[I] Throughput: 5 qps\n"

    assert read_summary(log) is None


def test_shapes_gpu_and_settings_are_read(recorded):
    log = recorded("load_dyn")

    assert shapes_in(log) == {"images": (4, 3, 640, 640)}
    assert (value_in(log, "Selected Device"), value_in(log, "CUDA Graph")) == ("NVIDIA H200", "Disabled")
    assert value_in(log, "Nothing") == ""


def test_a_shape_that_trtexec_made_up_is_noticed(recorded):
    log = recorded("load_dyn_noshapes")

    assert open_inputs_in(log) == {"images": (1, 3, 640, 640)}
    assert shapes_in(log) == {"images": (1, 3, 640, 640)}
    assert remarks_in(log)[0].startswith("Shape missing for input with dynamic shape: images")


def test_its_warnings_about_the_measurement_are_kept_and_no_others(recorded):
    found = remarks_in(recorded("load_fp16_default") + recorded("build_fp16"))

    assert [each.split(",")[0] for each in found] == [
        "Throughput may be bound by Enqueue Time rather than GPU Compute and the GPU may be under-utilized.",
        "GPU compute time is unstable",
    ]


def test_profiles_are_read_by_number():
    log = (
        "[I] Model input images (profile 0): min=1x3x64x64, opt=4x3x64x64, max=8x3x64x64\n"
        "[I] Model input images (profile 1): min=1x3x32x32, opt=1x3x32x32, max=2x3x32x32\n"
    )

    [first, second] = profiles_in(log)
    assert (first["images"].max, second["images"].min) == ((8, 3, 64, 64), (1, 3, 32, 32))


ENTRY = {"computeMs": 0.5, "latencyMs": 0.8, "startH2dMs": 200.0, "endD2hMs": 200.8}


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[",
        "[]",
        "{}",
        "null",
        '[{"computeMs": 0.5}]',
        json.dumps([{**ENTRY, "computeMs": "fast"}]),
        json.dumps([{**ENTRY, "computeMs": float("nan")}]),
        json.dumps([{**ENTRY, "computeMs": 0}]),
        json.dumps([{**ENTRY, "latencyMs": -5}]),
        json.dumps([{**ENTRY, "computeMs": 1e308}] * 2),
        json.dumps([{**ENTRY, "computeMs": 10**400}]),
        json.dumps([{**ENTRY, "computeMs": [0.5, 0.5]}]),
        json.dumps([ENTRY, 3]),
        "[" * 100_000,
    ],
)
def test_times_that_are_none_are_refused(tmp_path, text):
    path = tmp_path / "times.json"
    path.write_text(text)

    with pytest.raises(InputError, match=r"the times in .*times\.json"):
        read_times(path)


@pytest.mark.parametrize("end", [ENTRY["startH2dMs"], 0.0, ENTRY["startH2dMs"] + 0.125])
def test_queries_that_take_no_time_together_are_refused(tmp_path, end):
    path = tmp_path / "times.json"
    path.write_text(json.dumps([{**ENTRY, "endD2hMs": end}]))

    with pytest.raises(InputError, match=r"the queries in .*times\.json take -?[\d.]+ ms from first to last"):
        read_times(path)


def test_a_byte_order_mark_is_no_damage(tmp_path):
    path = tmp_path / "times.json"
    path.write_text(json.dumps([ENTRY]), "utf-8-sig")

    assert read_times(path).compute_ms.tolist() == [0.5]


def test_times_that_were_cut_short_are_refused(shared, tmp_path):
    whole = (shared / "fixtures" / "trtexec-8.6.0" / "load_fp16.times.json").read_bytes()
    (tmp_path / "times.json").write_bytes(whole[: len(whole) // 2])

    with pytest.raises(InputError, match="cannot read the times"):
        read_times(tmp_path / "times.json")


def test_times_that_are_missing_are_told(tmp_path):
    with pytest.raises(InputError, match="No such file"):
        read_times(tmp_path / "times.json")
