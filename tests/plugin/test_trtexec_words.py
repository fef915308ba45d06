"""Polygraphy's options in trtexec's words, release by release."""

import runpy
from pathlib import Path

import pytest

from polyyolo import progress
from polyyolo.plugin.trtexec_words import SPELLINGS, words

DIALECTS = Path(__file__).resolve().parent.parent / "fakes" / "dialects.py"


@pytest.mark.parametrize(
    ("name", "told", "release", "word"),
    [
        ("bf16", True, (9, 0), "--bf16"),
        ("builder_optimization_level", 0, (8, 6), "--builderOptimizationLevel=0"),
        ("hardware_compatibility_level", "AMPERE_PLUS", (10, 16), "--hardwareCompatibilityLevel=ampere+"),
        (
            *("hardware_compatibility_level", "SAME_COMPUTE_CAPABILITY", (10, 9)),
            "--hardwareCompatibilityLevel=sameComputeCapability",
        ),
        ("max_aux_streams", 0, (11, 1), "--maxAuxStreams=0"),
        ("memory_pool_limit", ["workspace:2G"], (8, 5), "--memPoolSize=workspace:2048"),
        ("precision_constraints", "prefer", (8, 5), "--precisionConstraints=prefer"),
        ("profiling_verbosity", "LAYER_NAMES_ONLY", (8, 6), "--profilingVerbosity=layer_names_only"),
        (
            *("tactic_sources", ["cublas", "JIT_CONVOLUTIONS"], (8, 6)),
            "--tacticSources=+CUBLAS,-CUBLAS_LT,-CUDNN,-EDGE_MASK_CONVOLUTIONS,+JIT_CONVOLUTIONS",
        ),
        ("tactic_sources", [], (11, 1), "--tacticSources=-EDGE_MASK_CONVOLUTIONS,-JIT_CONVOLUTIONS"),
        ("tiling_optimization_level", "full", (10, 8), "--tilingOptimizationLevel=3"),
    ],
)
def test_an_option_is_spelt_as_trtexec_has_it(name, told, release, word):
    with progress.recording() as heard:
        assert list(words({name: told}, release)) == [word]

    assert heard.warnings == []


@pytest.mark.parametrize(
    ("name", "told", "release", "message"),
    [
        ("bf16", True, (8, 6), "trtexec 8.6 builds without --bf16: it has no --bf16"),
        (
            "builder_optimization_level",
            5,
            (8, 5),
            "builds without --builder-optimization-level: it has no --builderOpti",
        ),
        (
            "hardware_compatibility_level",
            "SAME_COMPUTE_CAPABILITY",
            (10, 8),
            "it has no word for SAME_COMPUTE_CAPABILITY",
        ),
        ("layer_precisions", ["a,b:float16"], (8, 6), "a layer's name may hold no comma or apostrophe: a,b"),
        ("layer_precisions", ["a:int64"], (10, 16), "it has no word for int64"),
        ("precision_constraints", "prefer", (11, 0), "it has no --precisionConstraints"),
        ("tactic_sources", ["CUDNN"], (11, 1), "it has no word for CUDNN"),
        ("memory_pool_limit", ["dla_local_dram:1G"], (8, 6), "it has no word for dla_local_dram"),
    ],
)
def test_what_a_release_cannot_be_told_is_a_warning(name, told, release, message):
    with progress.recording() as heard:
        assert list(words({name: told}, release)) == []

    (warned,) = heard.warnings
    assert message in warned.message


@pytest.mark.parametrize("release", [(8, 5), (8, 6), (9, 0), (9, 3), (10, 0), (10, 8), (10, 16), (11, 0), (11, 1)])
def test_each_word_is_one_that_the_release_takes(release):
    taken = runpy.run_path(str(DIALECTS))["options"](release, rtx=False)

    told = {each.word for each in SPELLINGS.values() if each.since <= release < each.before}

    assert told | {"--noTF32"} <= taken
