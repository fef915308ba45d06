"""The command that a report prints is the one that makes the same run."""

import shlex
from pathlib import Path

import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from polyyolo import pipeline
from polyyolo.cli.engine import engine
from polyyolo.errors import InputError
from polyyolo.records import HeadKind, Limits, Precision, Request, Route
from polyyolo.reports.command_line import engine_line


class UnderstoodError(InputError):
    """What the command line understood, thrown before any work."""


@pytest.fixture(scope="module")
def understood():
    """Read the words of a command as ``polyyolo engine`` reads them."""

    def refuse(request):
        raise UnderstoodError(request)

    def read(words):
        assert words[:2] == ("polyyolo", "engine")
        context = engine.make_context("engine", [*words[2:], "--quiet"])
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(pipeline, "engine", refuse)
            with pytest.raises(UnderstoodError) as caught:
                engine.invoke(context)
        return caught.value.message

    return read


names = st.text(st.characters(codec="utf-8", exclude_characters="\0", exclude_categories=["Cs"]), min_size=1)
paths = names.map(lambda name: Path("./" + name.replace("/", "_")))
requests = st.builds(
    Request,
    model=names,
    images=st.none() | paths,
    labelled=st.none() | paths,
    head=st.none() | st.sampled_from(HeadKind),
    profile=st.none() | names,
    precision=st.sampled_from(Precision),
    route=st.sampled_from(Route),
    toolchain=st.sampled_from(["auto", "tensorrt", "rtx", "none"]),
    program=st.none() | st.sampled_from(["trtexec", "polygraphy"]),
    count=st.integers(1, 10_000),
    seed=st.integers(-5, 5),
    method=names,
    keep_float=st.lists(names, min_size=1, max_size=3).map(tuple),
    budget=st.floats(0, 1),
    shift=st.booleans(),
    half_io=st.booleans(),
    overrides=st.fixed_dictionaries(
        {},
        optional={
            "fit": st.sampled_from(["letterbox", "stretch"]),
            "pad": st.integers(0, 255),
            "mean": st.tuples(*[st.floats(-9, 9)] * 3),
        },
    ),
    compute_capabilities=st.lists(names, max_size=2).map(tuple),
    limits=st.builds(
        Limits,
        max_drop=st.floats(0, 9),
        min_agreement=st.floats(0, 1),
        max_latency_ms=st.none() | st.floats(0, 9, exclude_min=True),
        min_speedup=st.none() | st.floats(0, 9, exclude_min=True),
    ),
    calibrator=st.none() | st.sampled_from(["entropy2", "minmax", "legacy", "entropy"]),
    measure=st.booleans(),
    baseline=st.none() | paths,
    output=st.none() | paths,
    for_both_routes=st.booleans(),
)


@given(requests)
def test_every_request_survives_its_command_line(understood, request):
    words = engine_line(request)

    read = understood(tuple(shlex.split(shlex.join(words))))

    model = f"./{request.model}" if request.model.startswith("-") else request.model
    assert read == evolve(request, model=model, for_both_routes=False)


def test_only_what_differs_from_the_usual_is_spelt():
    asked = Request("yolov5s", images=Path("my pictures"), budget=0.1, output=Path("out"))

    assert engine_line(asked) == ("polyyolo", "engine", "yolov5s", "--images", "my pictures", "-o", "out")
    assert engine_line(asked, budget=0.15)[-4:] == ("--budget", "0.15", "-o", "out")
