"""Hundreds of damaged files end in a ModelError or in a model, never in anything else."""

import random
import tracemalloc

import numpy as np
import pytest

from polyyolo.errors import ModelError
from polyyolo.models.darknet import convert

TEXT = """[net]
width=64
height=64
channels=3
[convolutional]
batch_normalize=1
filters=4
size=3
stride=2
pad=1
activation=leaky
[route]
layers=-1
groups=2
group_id=1
[maxpool]
size=2
stride=1
[upsample]
stride=2
[route]
layers=-1,-2
[shortcut]
from=-1
activation=mish
[convolutional]
filters=14
activation=linear
[yolo]
mask=0,1
anchors=10,14, 23,27
classes=2
num=2
"""
VALID = TEXT.replace("[upsample]\nstride=2\n", "")
HOSTILE = [b"-1", b"0", b"1e9", b"999999999999", b"nan", b"inf", b"[", b"=", b",", b"\x00", b"\xff", b"#", b"0x10", b""]
COUNT = 4 * 4 + 4 * 27 + 14 + 14 * 4


def mutated(data: bytes, chance: random.Random) -> bytes:
    """Cut, repeat, overwrite or insert in one to four places."""
    for _ in range(chance.randint(1, 4)):
        at, length = chance.randrange(len(data) + 1), chance.randrange(1, 12)
        piece = chance.choice([chance.choice(HOSTILE), chance.randbytes(length), data[at : at + length] * 3])
        data = data[:at] + piece + data[at + chance.choice([0, len(piece), length]) :]
    return data


def attempt(cfg, weights, output) -> bool:
    try:
        convert(cfg, weights, output)
    except ModelError:
        return False
    return True


def test_mutated_cfgs(write_model, tmp_path):
    cfg, weights = write_model(VALID, np.ones(COUNT))
    assert attempt(cfg, weights, tmp_path / "good.onnx")
    whole, chance = cfg.read_bytes(), random.Random(0)
    tracemalloc.start()
    converted = 0
    for _ in range(500):
        cfg.write_bytes(mutated(whole, chance))
        converted += attempt(cfg, weights, tmp_path / "out.onnx")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()

    assert 10 < converted < 400
    assert peak < 20_000_000


def test_mutated_weights(write_model, tmp_path):
    cfg, weights = write_model(VALID, np.ones(COUNT))
    whole, chance = weights.read_bytes(), random.Random(1)
    converted = 0
    for _ in range(300):
        weights.write_bytes(mutated(whole, chance))
        converted += attempt(cfg, weights, tmp_path / "out.onnx")

    assert converted < 250


@pytest.mark.parametrize("value", HOSTILE)
@pytest.mark.parametrize("line", [line for line in TEXT.splitlines() if "=" in line])
def test_every_value_replaced_by_a_hostile_one(write_model, tmp_path, line, value):
    cfg, weights = write_model(VALID, np.ones(COUNT))
    cfg.write_bytes(VALID.encode().replace(line.encode(), line.split("=")[0].encode() + b"=" + value, 1))
    attempt(cfg, weights, tmp_path / "out.onnx")
