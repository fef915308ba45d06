"""Damaged checkpoints by the hundred: a valid ONNX or a ModelError, never anything else."""

import random
import time
from pathlib import Path
from zipfile import ZipFile

import pytest

from polyyolo.errors import ModelError
from polyyolo.models.checkpoint import convert


def attempt(path):
    """Tell whether the file was converted; any error but ModelError fails the test."""
    try:
        convert(path, path.with_suffix(".onnx"), size=(32, 32))
    except ModelError as error:
        refusal = error
    else:
        return True
    assert len(refusal.message) < 1000
    assert refusal.fix
    return False


def memory_mib():
    return int(Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0]) // 1024


def flip(rng, data):
    out = bytearray(data)
    for _ in range(rng.choice((1, 1, 2, 8, 64))):
        out[rng.randrange(len(out))] = rng.randrange(256)
    return bytes(out)


def cut(rng, data):
    return data[: rng.randrange(len(data))]


def splice(rng, data):
    start, end = sorted(rng.randrange(len(data)) for _ in range(2))
    target = rng.randrange(len(data))
    return data[:target] + data[start:end] + data[target:]


def extreme(rng, data):
    """Put an extreme number where some number may be."""
    out, at = bytearray(data), rng.randrange(len(data) - 4)
    out[at : at + 4] = rng.choice((b"\xff\xff\xff\xff", b"\xff\xff\xff\x7f", b"\0\0\0\0", b"\0\0\0\x80"))
    return bytes(out)


MUTATIONS = [flip, cut, splice, extreme]


@pytest.mark.parametrize("mutate", MUTATIONS)
def test_mutated_files(forge, tmp_path, mutate):
    """Most are caught by the zip's checksums, some of them before the first entry is read."""
    rng = random.Random(1)
    whole = forge.save(tmp_path / "whole.pt", {"model": forge.tiny()}).read_bytes()
    path = tmp_path / "x.pt"
    before, memory = time.perf_counter(), memory_mib()
    for _ in range(100):
        path.write_bytes(mutate(rng, whole))
        attempt(path)
    assert time.perf_counter() - before < 60
    assert memory_mib() - memory < 200


@pytest.mark.parametrize("mutate", MUTATIONS)
def test_mutated_pickles_in_a_sound_zip(forge, tmp_path, mutate):
    """The checksum is right here, so that the mutation reaches the pickle and what is built from it."""
    rng = random.Random(2)
    with ZipFile(forge.save(tmp_path / "whole.pt", {"model": forge.tiny()})) as archive:
        data = archive.read("archive/data.pkl")
    before, memory = time.perf_counter(), memory_mib()
    converted = sum(attempt(forge.save(tmp_path / "x.pt", None, data=mutate(rng, data))) for _ in range(200))
    assert converted < 100  # most mutations matter
    assert time.perf_counter() - before < 60
    assert memory_mib() - memory < 200


def test_each_storage_missing_or_short(forge, tmp_path):
    checkpoint = {"model": forge.tiny()}
    whole = dict(forge.storages)
    used = 0
    for key in whole:
        forge.storages = {name: data for name, data in whole.items() if name != key}
        missing = attempt(forge.save(tmp_path / "x.pt", checkpoint))
        forge.storages = whole | {key: whole[key][:-1]}
        assert attempt(forge.save(tmp_path / "x.pt", checkpoint)) == missing
        used += not missing
    assert used == len(whole) == 19  # 5 tensors a block, weight, bias, anchors and stride of the head


JUNK = (None, True, -1, 0, 3, 1 << 30, 1e308, float("nan"), "x", "", [], {}, (), (1, 2, 3), [0] * 70, [[[]]], {1: 2})


def places(value):
    """Every (container, key) below ``value`` that something else could be put into."""
    inner = getattr(value, "state", value)
    items = list(inner.items() if isinstance(inner, dict) else enumerate(inner) if isinstance(inner, list) else ())
    return [(inner, key) for key, _ in items] + [place for _, item in items for place in places(item)]


def test_values_of_another_kind_anywhere_in_the_tree(forge, tmp_path):
    """A sound zip and a sound pickle, whose modules hold nonsense."""
    rng = random.Random(3)
    count = len(places({"model": forge.tiny()}))
    converted = 0
    for index in rng.sample(range(count), min(count, 250)):
        forge.storages.clear()
        checkpoint = {"model": forge.tiny()}
        container, key = places(checkpoint)[index]
        container[key] = rng.choice(JUNK)
        converted += attempt(forge.save(tmp_path / "x.pt", checkpoint))
    assert 20 < converted < 200  # some attributes are not read, most are


def test_a_boolean_is_no_kernel_size(forge, tmp_path):
    layers = [forge.conv((4, 3, 1, 1), stride=True), forge.detect_v5(4, 2, 1)]
    path = forge.save(tmp_path / "x.pt", {"model": forge.model(layers)})
    with pytest.raises(ModelError, match="stride is True, not one or two whole numbers"):
        convert(path, tmp_path / "x.onnx", size=(32, 32))
