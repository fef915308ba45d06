"""Every script in data_loaders/ works unchanged in the real Polygraphy."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

LOADERS = Path(__file__).resolve().parent.parent / "data_loaders"
POLYGRAPHY = Path(sys.executable).with_name("polygraphy")


@pytest.fixture
def dataset(tmp_path: Path, train: Path) -> Path:
    """A folder with every source that the scripts look for by default: pictures, a list, a dataset, an array."""
    (tmp_path / "images").symlink_to(train / "images")
    first = sorted((train / "images").iterdir())[:2]
    (tmp_path / "train.txt").write_text("".join(f"images/{path.name}\n" for path in first))
    (tmp_path / "data.yaml").write_text("path: .\ntrain: train.txt\nval: images\nnames: {0: person}\n")
    np.save(tmp_path / "calibration.npy", np.random.default_rng(0).random((2, 3, 640, 640), np.float32))
    return tmp_path


def polygraphy(*arguments: object, cwd: Path, **settings: object) -> subprocess.CompletedProcess[str]:
    clean = {name: value for name, value in os.environ.items() if not name.startswith("POLYYOLO_")}
    given = {f"POLYYOLO_{name.upper()}": str(value) for name, value in settings.items()}
    argv = [str(POLYGRAPHY), *map(str, arguments)]
    return subprocess.run(argv, cwd=cwd, env={**clean, **given}, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("script", sorted(path.name for path in LOADERS.glob("*.py")))
def test_polygraphy_run_takes_every_script_with_its_defaults(models, dataset, script):
    done = polygraphy(
        "run", models / "yolov8n-640.onnx", "--onnxrt", "--data-loader-script", LOADERS / script,
        cwd=dataset, count=2, count_file="count.json",
    )  # fmt: skip

    assert done.returncode == 0, done.stdout + done.stderr
    assert "{images [dtype=float32, shape=(1, 3, 640, 640)]}" in done.stdout
    assert json.loads((dataset / "count.json").read_text()) == {"promised": 2, "yielded": 2, "failure": ""}


def test_there_are_at_least_three_scripts_and_each_is_short():
    lengths = {path.name: len(path.read_text().splitlines()) for path in LOADERS.glob("*.py")}

    assert len(lengths) >= 3
    assert all(15 <= length <= 30 for length in lengths.values()), lengths


def test_a_dynamic_model_takes_a_script_with_size_and_batch_from_the_environment(models, dataset):
    done = polygraphy(
        "run", models / "yolov8n-dyn.onnx", "--onnxrt", "--data-loader-script", LOADERS / "data_yaml.py",
        cwd=dataset, size=320, batch=2,
    )  # fmt: skip

    assert done.returncode == 0, done.stdout + done.stderr
    assert "shape=(2, 3, 320, 320)" in done.stdout


def test_polygraphy_debug_reduce_takes_a_script(dataset):
    """A model of two layers is halved; the pictures feed the inference that finds the shapes of what was cut off."""
    import onnx
    from onnx import parser

    model = parser.parse_model(
        """<ir_version: 8, opset_import: ["": 17]>
        small (float[1, 3, 64, 64] images) => (float[1, 3, 64, 64] out) { middle = Relu(images) out = Abs(middle) }"""
    )
    onnx.save(model, dataset / "small.onnx")

    done = polygraphy(
        "debug", "reduce", "small.onnx", "-o", "reduced.onnx", "--mode=linear", "--force-fallback-shape-inference",
        "--data-loader-script", LOADERS / "letterbox_folder.py", "--check", sys.executable, "-c",
        "import onnx, sys; sys.exit('Abs' in [n.op_type for n in onnx.load('polygraphy_debug.onnx').graph.node])",
        cwd=dataset, count=1,
    )  # fmt: skip

    assert done.returncode == 0, done.stdout + done.stderr
    assert [node.op_type for node in onnx.load(dataset / "reduced.onnx").graph.node] == ["Abs"]
