"""Checkpoints that try to run something, to read what is not theirs, or to fill the memory."""

import copyreg
import pickle
import struct
import time
import tracemalloc
import zipfile

import pytest

from polyyolo.errors import ModelError
from polyyolo.models.checkpoint import convert


def refuse(path, match):
    """Convert, which must fail quickly and in little memory with a message that matches."""
    tracemalloc.start()
    before = time.process_time()
    try:
        with pytest.raises(ModelError, match=match) as error:
            convert(path, path.with_suffix(".onnx"), size=(32, 32))
        assert tracemalloc.get_traced_memory()[1] < 300e6
    finally:
        tracemalloc.stop()
    assert time.process_time() - before < 20
    assert not path.with_suffix(".onnx").exists()
    assert len(error.value.message) < 1000
    assert error.value.message.isprintable()
    assert error.value.fix
    return error.value


def text(value):
    return b"X" + struct.pack("<I", len(value)) + value.encode()


def canary(tmp_path):
    """A file that exists once a payload has run, and the Python and shell that make it."""
    file = tmp_path / "ran"
    return file, f"open({str(file)!r}, 'w').close()", f"touch {file}"


def payloads(code, shell):
    """Pickles that run ``code`` or ``shell`` in Python's own unpickler, and the class that each names."""
    call = b"(" + text(shell) + b"t"
    return {
        "os.system": b"\x80\x02cos\nsystem\n" + call + b"R.",
        "posix.system": b"\x80\x02cposix\nsystem\n" + call + b"R.",
        "builtins.exec": b"\x80\x02cbuiltins\nexec\n(" + text(code) + b"tR.",
        "__builtin__.eval": b"\x80\x02c__builtin__\neval\n(" + text(f"exec({code!r})") + b"tR.",
        "subprocess.getoutput": b"\x80\x04" + text("subprocess") + text("getoutput") + b"\x93" + call + b"R.",
        "runpy.run_path": b"\x80\x02crunpy\nrun_path\n(" + text("payload.py") + b"tR.",
        "INST": b"(" + text(shell) + b"ios\nsystem\n.",
        "os.system by OBJ": b"(cos\nsystem\n" + text(shell) + b"o.",
        "functools.partial": b"\x80\x02cfunctools\npartial\n(cos\nsystem\n" + text(shell) + b"tR)R.",
        "builtins.getattr": b"\x80\x02cbuiltins\ngetattr\n(cos\n_wrap_close\n" + text("close") + b"tR.",
        "numpy.load": b"\x80\x02cnumpy\nload\n(" + text("x.npy") + b"tR.",
        "numpy.testing._private.utils.runstring": b"\x80\x02cnumpy.testing._private.utils\nrunstring\n"
        + (b"(" + text(code) + b"}tR."),
        "torch.load": b"\x80\x02ctorch\nload\n(" + text("x.pt") + b"tR.",
        "torch.hub.load": b"\x80\x02ctorch.hub\nload\n(" + text("x/y") + b"tR.",
        "webbrowser.open": b"\x80\x02cwebbrowser\nopen\n(" + text("http://localhost") + b"tR.",
        "pickle.loads": b"\x80\x02cpickle\nloads\n(" + text("x") + b"tR.",
    }


@pytest.mark.parametrize("name", list(payloads("", "")))
def test_a_payload_is_refused_by_name_and_nothing_runs(forge, tmp_path, name):
    ran, code, shell = canary(tmp_path)
    data = payloads(code, shell)[name]
    error = refuse(forge.save(tmp_path / "x.pt", None, data=data), name.split()[0].replace(".", r"\."))
    assert "nothing of it was run" in error.message
    assert not ran.exists()


@pytest.mark.parametrize("name", ["os.system", "builtins.exec", "INST", "os.system by OBJ", "subprocess.getoutput"])
def test_the_payloads_are_live_in_pythons_own_unpickler(tmp_path, name):
    """What the test above shows is worth something only if these bytes do run elsewhere."""
    ran, code, shell = canary(tmp_path)
    pickle.loads(payloads(code, shell)[name])
    assert ran.exists()


def test_a_payload_deep_inside_a_real_model_is_refused(forge, call, named, tmp_path):
    ran, _, shell = canary(tmp_path)
    model = forge.tiny()
    model.state["hyp"] = [{"lr": call(named("os", "system"), (shell,))}]
    refuse(forge.save(tmp_path / "x.pt", {"model": model}), r"os\.system")
    assert not ran.exists()


def test_known_classes_are_never_imported_nor_given_state(forge, tmp_path, monkeypatch):
    """A module of the name ``models`` on the path must stay untouched: it could be anything."""
    folder = tmp_path / "models"
    folder.mkdir()
    (folder / "__init__.py").write_text("")
    ran, code, _ = canary(tmp_path)
    (folder / "yolo.py").write_text(f"{code}\nclass Model:\n    def __setstate__(self, state):\n        {code}\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    convert(forge.save(tmp_path / "x.pt", {"model": forge.tiny()}), tmp_path / "x.onnx", size=(32, 32))
    assert not ran.exists()


def test_an_extension_code_is_refused_even_where_one_is_registered(forge, tmp_path):
    copyreg.add_extension("os", "system", 240)
    try:
        data = b"\x80\x02\x82\xf0(" + text("true") + b"tR."
        refuse(forge.save(tmp_path / "x.pt", None, data=data), "EXT1")
    finally:
        copyreg.remove_extension("os", "system", 240)


@pytest.mark.parametrize(
    ("data", "match"),
    [
        (b"\x80\x02}(" + text("model") + b"Nub.", "malformed|stack"),
        (b"\x80\x02cmodels.yolo\nModel\n)R}b}b.", "gives state"),
        (b"\x80\x02cmodels.yolo\nModel\n}b.", "gives state to a Name"),
        (b"\x80\x02]}b.", "gives state to a list"),
        (b"\x80\x02)R.", "stack"),
        (b"\x80\x02N)R.", "calls a NoneType"),
        (b"\x80\x02cmodels.yolo\nModel\n]R.", "with a list"),
        (b"\x80\x02h\x05.", "object 5"),
        (b"\x80\x02u.", "no mark"),
        (b"\x80\x02}(Nu.", "without a value"),
        (b"\x80\x02}(]Nu.", "list as a key"),
        (b"\x80\x02" + b"0" * 10 + b".", "stack empty"),
        (b"\x80\x02(.", "stack empty"),
        (b"\x80\x02N", "breaks off"),
        (b"", "breaks off"),
        (b"\x80\x02X\xff\xff\xff\x7fabc.", "breaks off"),
        (b"\x80\x04\x8e\xff\xff\xff\xff\xff\xff\xff\x7fabc.", "breaks off"),
        (b"\x80\x02cmodels.\x1b[31m\nx\n.", "asks for|breaks off"),
    ],
)
def test_malformed_pickles_are_refused(forge, tmp_path, data, match):
    refuse(forge.save(tmp_path / "x.pt", None, data=data), match)


@pytest.mark.parametrize(
    "data",
    [
        b"\x80\x02Nr\xff\xff\xff\xff.",  # Python's own unpickler makes room for 2 ** 32 objects
        b"\x80\x02" + b")\x85" * 100_000 + b".",
        b"\x80\x02)" + b"\x85" * 450_000 + b".",
        b"\x80\x02}" + b")" + b"\x85" * 400_000 + b"Ns.",
        b"\x80\x02" + b"]" * 240_000 + b"a" * 239_999 + b".",
        b"\x80\x02cmodels.x\nY\nq\x00)R" + b"h\x00)R" * 70_000 + b"b" * 70_000 + b".",
        b"\x80\x02" + b"}" * 500_001 + b".",
        b"\x80\x02" + b"N" * 20_000_000 + b".",
        b"\x80\x02\x8b" + struct.pack("<I", 1_000_000) + b"\x7f" * 1_000_000 + b".",
    ],
    ids=["memo", "tuples", "nested tuples", "tuple as key", "nested lists", "nested objects", "many", "long", "number"],
)
def test_pickles_made_to_exhaust_are_refused_quickly(forge, tmp_path, data):
    refuse(forge.save(tmp_path / "x.pt", None, data=data), "x.pt")


def place(named, *, kind="FloatStorage", key="0", count=4, tag="storage"):
    return (tag, named("torch", kind), key, "cpu", count)


@pytest.mark.parametrize(
    ("lie", "match"),
    [
        (lambda named: {"id": place(named, count=1 << 30)}, "has 16 bytes where 4294967296 belong"),
        (lambda named: {"id": place(named, count=-1)}, "not described"),
        (lambda named: {"id": place(named, key="99")}, "no entry"),
        (lambda named: {"id": place(named, key="../../../etc/passwd")}, "no entry"),
        (lambda named: {"id": place(named, kind="DoubleStorage")}, "has 16 bytes where 32 belong"),
        (lambda named: {"id": place(named, tag="file")}, "not described"),
        (lambda _: {"id": 5}, "not described"),
        (lambda named: {"id": place(named, key=7)}, "not described"),
        (lambda _: {"offset": 1}, "does not fit"),
        (lambda _: {"offset": -4}, "gives no sizes"),
        (lambda _: {"shape": (1 << 20, 1 << 20)}, "does not fit"),
        (lambda _: {"shape": (1 << 30,), "strides": (0,)}, "does not fit"),
        (lambda _: {"shape": (2,), "strides": (5,)}, "does not fit"),
        (lambda _: {"shape": (2,), "strides": (-1,)}, "gives no sizes"),
        (lambda _: {"shape": (2, 2), "strides": (1,)}, "does not fit"),
        (lambda _: {"shape": (1,) * 40, "strides": (1,) * 40}, "gives no sizes"),
        (lambda _: {"shape": 4}, "gives no sizes"),
        (lambda _: {"shape": (4.0,)}, "gives no sizes"),
    ],
)
def test_tensors_that_lie_about_their_storage_are_refused(forge, call, named, persistent, tmp_path, lie, match):  # noqa: PLR0917 - fixtures
    given = {"id": place(named), "offset": 0, "shape": (4,), "strides": (1,)} | lie(named)
    forge.storages["0"] = bytes(16)
    rebuild = named("torch._utils", "_rebuild_tensor_v2")
    model = forge.tiny()
    stride = call(rebuild, (persistent(given["id"]), given["offset"], given["shape"], given["strides"], False, {}))
    model.state["_modules"]["model"].state["_modules"]["3"].state["stride"] = stride
    refuse(forge.save(tmp_path / "x.pt", {"model": model}), match)


def test_one_storage_named_by_many_layers_is_refused(forge, tmp_path):
    block = forge.conv((64, 64, 3, 3), padding=(1, 1))
    layers = [forge.conv((64, 3, 1, 1)), *[forge.sequence(block) for _ in range(900)], forge.detect_v5(64, 2, 1)]
    refuse(forge.save(tmp_path / "x.pt", {"model": forge.model(layers)}), "more than twice the file")


def test_a_tree_that_holds_itself_twice_at_every_level_is_refused(forge, tmp_path):
    """Two to the power of thirty modules from thirty lines of pickle."""
    levels = b"cmodels.x\nIdentity\n)R}(" + text("_modules") + b"}ubq\x00"
    for _ in range(30):
        children = b"}(" + text("0") + b"h\x00" + text("1") + b"h\x00u"
        levels += b"0cmodels.x\nSequential\n)R}(" + text("_modules") + children + b"ubq\x00"
    layers = b"cmodels.x\nSequential\n)R}(" + text("_modules") + b"}(" + text("0")
    # The first layer is the tree, and it takes the picture; the last would be the head.
    layers += b"cmodels.x\nSequential\n)R}(" + text("_modules") + b"}(" + text("0") + b"h\x00u" + text("f")
    layers += b"J\xff\xff\xff\xffub" + text("1") + b"h\x00u" + b"ub"
    top = b"cmodels.yolo\nModel\n)R}(" + text("_modules") + b"}(" + text("model") + layers + b"uub"
    data = b"\x80\x02" + levels + b"0}(" + text("model") + top + b"u."
    refuse(forge.save(tmp_path / "x.pt", None, data=data), "20000 modules ran before it")


def test_a_module_that_holds_itself_is_refused(forge, tmp_path):
    own = b"cmodels.x\nSequential\n)Rq\x00}(" + text("f") + b"J\xff\xff\xff\xff" + text("_modules")
    own += b"}(" + text("0") + b"h\x00" + text("1") + b"h\x00uub"
    top = b"cmodels.yolo\nModel\n)R}(" + text("_modules") + b"}(" + text("model") + own + b"uub"
    data = b"\x80\x02}(" + text("model") + top + b"u."
    refuse(forge.save(tmp_path / "x.pt", None, data=data), "nested deeper than 32")


def test_a_zip_bomb_is_refused_before_it_is_unpacked(tmp_path):
    path = tmp_path / "x.pt"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("archive/data.pkl", bytes(50_000_000))
    assert path.stat().st_size < 100_000
    refuse(path, "stores without compression")


def test_entries_that_state_more_than_the_file_has_are_refused(tmp_path):
    """One stored file, listed many times: each entry is fine, all of them are a bomb."""
    path = tmp_path / "x.pt"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("archive/data.pkl", bytes(1_000_000))
        entry = archive.filelist[0]
        archive.filelist += [entry] * 500
    refuse(path, "entries state 501000000 bytes")


def test_a_table_of_a_million_entries_is_refused(tmp_path):
    path = tmp_path / "x.pt"
    entry = struct.pack("<4s6H3L5H2L", b"PK\x01\x02", *(0,) * 6, *(0,) * 3, 4, 0, 0, 0, 0, 0, 0) + b"name"
    table = entry * 200_000
    end = struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, 0xFFFF, 0xFFFF, len(table), 4, 0)
    path.write_bytes(b"PK\x03\x04" + table + end)
    refuse(path, "table of entries has more than 8388608 bytes")
