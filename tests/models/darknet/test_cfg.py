"""Every mistake in a cfg is told with its file and line, before anything is allocated."""

import tracemalloc

import numpy as np
import pytest

from polyyolo.errors import ModelError
from polyyolo.models.darknet import convert
from polyyolo.models.darknet.cfg import read_cfg

GOOD = """[net]
width=64
height=64
channels=3
[convolutional]
filters=4
size=3
stride=2
pad=1
activation=leaky
[convolutional]
filters=14
activation=linear
[yolo]
mask=0,1
anchors=10,14, 23,27
classes=2
num=2
"""


def refusal(write_model, tmp_path, text) -> ModelError:
    cfg, weights = write_model(text, np.zeros(10))
    with pytest.raises(ModelError) as error:
        convert(cfg, weights, tmp_path / "out.onnx")
    assert error.value.fix
    return error.value


def test_comments_blanks_and_short_names_are_understood(tmp_path):
    path = tmp_path / "a.cfg"
    path.write_text("; old\n[network]\n width = 64 # pixels\nheight=32\n\n[conv]\nfilters = 4\nfilters = 8\n")
    cfg = read_cfg(path)

    assert (cfg.net.integer("width", 0, high=99), cfg.net.integer("height", 0, high=99)) == (64, 32)
    assert [(layer.kind, layer.line, layer.text("filters", "")) for layer in cfg.layers] == [("convolutional", 6, "4")]


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("width=64", "width=1000000000", "small.cfg:2: [net] width=1000000000 is not within 1..16384"),
        ("width=64", "width=wide", "small.cfg:2: [net] width=wide is not int numbers"),
        ("width=64", "", "small.cfg:1: [net] width=0 is not within 1..16384"),
        ("width=64", "width=63", "no multiple of the 32x32 cells"),
        ("filters=4", "filters=1000000000", "small.cfg:6: [convolutional] filters=1000000000 is not within 1..65536"),
        ("filters=4", "filters=-4", "small.cfg:6: [convolutional] filters=-4"),
        ("filters=4", "filters=4\ngroups=2", "groups=2 does not divide 3 channels into 4"),
        ("size=3", "size=3\nxnor=1", "small.cfg:8: [convolutional] xnor=1 is not converted"),
        ("activation=leaky", "activation=gelu", "small.cfg:10: [convolutional] activation=gelu is not converted"),
        ("activation=leaky", "activation=leaky\nwhat", "small.cfg:11: 'what' where key=value is wanted"),
        ("[yolo]", "[avgpool]\n[yolo]", "small.cfg:14: [avgpool] layers are not converted"),
        ("[yolo]", "[yolo", "small.cfg:14: '[yolo' lacks its closing bracket"),
        ("[yolo]", "[route]\nlayers=-9\n[yolo]", "small.cfg:15: [route] layers=-9 is not within -2..1"),
        ("[yolo]", "[route]\n[yolo]", "small.cfg:14: [route] layers= is not int numbers"),
        ("[yolo]", "[shortcut]\nfrom=0\n[yolo]", "adds layer 0 of 4x32x32 to a map of 14x32x32"),
        ("[yolo]", "[shortcut]\nfrom=0\nweights_type=per_channel\n[yolo]", "with weights is not converted"),
        ("[yolo]", "[upsample]\nstride=32\n[upsample]\nstride=32\n[yolo]", "a map of 32768x32768"),
        ("classes=2", "classes=3", "2 anchors with 3 classes need 16"),
        ("mask=0,1", "mask=0,5", "small.cfg:15: [yolo] mask=5 is not within 0..1"),
        ("23,27", "23", "has 3 anchor sides; mask needs 4"),
        ("23,27", "23,nan", "holds a number that no network has"),
        ("num=2", "num=2\n[yolo]\nclasses=2", "stands after a [yolo]"),
        ("[net]", "[nets]", "does not begin with [net]"),
        ("[convolutional]\nfilters=14", "[maxpool]\nsize=99\n[convolutional]\nfilters=14", None),
        ("[yolo]", "[softmax]", "[softmax] layers are not converted"),
    ],
)
def test_a_mistake_is_told_with_its_line(write_model, tmp_path, old, new, message):
    error = refusal(write_model, tmp_path, GOOD.replace(old, new, 1))
    assert (message or "") in error.message


def test_a_cfg_without_heads_is_refused(write_model, tmp_path):
    error = refusal(write_model, tmp_path, GOOD.split("[yolo]", maxsplit=1)[0])
    assert "has 0 [yolo] layers" in error.message


@pytest.mark.parametrize("content", [b"", b"\x00\xff" * 400, b"[net]\n", b"[x]\n" * 3000, b"#" * (2 << 20)])
def test_what_is_no_cfg_is_refused(tmp_path, content):
    path = tmp_path / "no.cfg"
    path.write_bytes(content)
    with pytest.raises(ModelError, match=r"no\.cfg"):
        read_cfg(path)


def test_a_missing_cfg_is_refused(tmp_path):
    with pytest.raises(ModelError, match=r"cannot read .*none\.cfg: No such file"):
        read_cfg(tmp_path / "none.cfg")


def test_a_huge_network_allocates_nothing(write_model, tmp_path):
    """65,536 filters over 65,536 channels would be 16 GiB a layer: the weights' length says no first."""
    layer = "[convolutional]\nfilters=65536\nsize=3\npad=1\nactivation=leaky\n"
    text = GOOD.replace("[convolutional]\nfilters=14", layer * 50 + "[convolutional]\nfilters=14", 1)
    tracemalloc.start()
    error = refusal(write_model, tmp_path, text)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()

    assert "too short" in error.message
    assert peak < 2_000_000
