"""How TensorRT runs SiLU between an INT8 convolution and one in float, by how it is written.

Run as ``python benchmarks/silu_in_float.py FOLDER`` where trtexec and its GPU are, with nothing else on the GPU. Two
INT8 convolutions of 64 channels of 80 x 80, a SiLU behind each, and an output convolution in float are built for each
way, all in ONNX as polyyolo writes it, and timed once; each line has the kernels of the engine as well.
"""

import json
import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import click
import numpy as np
import onnx

BATCH, CHANNELS, SIDE = 8, 64, 80
HEADER = '<ir_version: 8, opset_import: ["" : 17]>'
CONV = "kernel_shape = [3, 3], pads = [1, 1, 1, 1]"
BEFORE = f"""
    x_q = QuantizeLinear(x, step, zero)  x_dq = DequantizeLinear(x_q, step, zero)
    w1_dq = DequantizeLinear<axis = 0>(w1, steps, zeros)  first = Conv<{CONV}>(x_dq, w1_dq)
    g1 = Sigmoid(first)  s1 = Mul(first, g1)
    s1_q = QuantizeLinear(s1, step, zero)  s1_dq = DequantizeLinear(s1_q, step, zero)
    w2_dq = DequantizeLinear<axis = 0>(w2, steps, zeros)  c = Conv<{CONV}>(s1_dq, w2_dq)
"""
BEHIND = "z = Conv(s, w3)  y = Sigmoid(z)"
SIGMOID = "g = Sigmoid(c)  p = Mul(c, g)"
WAYS = {
    "x * sigmoid(x)": f"{SIGMOID}  s = Identity(p)",
    "by tanh": "h = Mul(c, half)  t = Tanh(h)  u = Mul(t, half)  g = Add(u, half)  s = Mul(c, g)",
    "max(SiLU, -0.3)": f"{SIGMOID}  s = Max(p, low)",
    "SiLU + 0.25": f"{SIGMOID}  s = Add(p, quarter)",
    "LeakyReLU": "s = LeakyRelu<alpha = 0.1>(c)",
    "in INT8": f"{SIGMOID}  s_q = QuantizeLinear(p, step, zero)  s = DequantizeLinear(s_q, step, zero)",
}


def written(silu: str) -> onnx.ModelProto:
    """Write the model with one SiLU before the output convolution."""
    shape = f"float[{BATCH},{CHANNELS},{SIDE},{SIDE}]"
    model = onnx.parser.parse_model(f"{HEADER} silu ({shape} x) => ({shape} y) {{ {BEFORE} {silu} {BEHIND} }}")
    generator = np.random.default_rng(0)
    constants = {
        "step": np.float32(0.05),
        "zero": np.int8(0),
        "steps": np.full(CHANNELS, 0.002, np.float32),
        "zeros": np.zeros(CHANNELS, np.int8),
        "w1": generator.integers(-127, 128, (CHANNELS, CHANNELS, 3, 3), np.int8),
        "w2": generator.integers(-127, 128, (CHANNELS, CHANNELS, 3, 3), np.int8),
        "w3": generator.normal(0, 0.1, (CHANNELS, CHANNELS, 1, 1)).astype(np.float32),
        "half": np.full((1, 1, 1, 1), 0.5, np.float32),
        "low": np.full((1, 1, 1, 1), -0.3, np.float32),
        "quarter": np.full((1, 1, 1, 1), 0.25, np.float32),
    }
    read = {name for node in model.graph.node for name in node.input}
    model.graph.initializer.extend(
        onnx.numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items() if name in read
    )
    onnx.checker.check_model(model, full_check=True)
    return model


def timed(model: Path, level: int, run: Callable[[list[str]], str]) -> tuple[float, list[str]]:
    """Build an engine and time it: the median GPU compute time in us, and the names of its layers."""
    layers = model.with_suffix(".layers.json")
    told = run(
        [
            *("trtexec", f"--onnx={model}", "--int8", "--fp16", f"--builderOptimizationLevel={level}"),
            *("--useCudaGraph", "--noDataTransfers", "--useSpinWait", "--warmUp=200", "--duration=1"),
            *("--profilingVerbosity=detailed", f"--exportLayerInfo={layers}", "--separateProfileRun"),
        ]
    )
    found = re.search(r"GPU Compute Time: .*?median = ([\d.]+) ms", told)
    if found is None:
        raise click.ClickException(f"trtexec told no time for {model.name}:\n{told[-2000:]}")
    names = json.loads(layers.read_text("utf-8"), strict=False)["Layers"]
    return 1000 * float(found[1]), [each if isinstance(each, str) else each["Name"] for each in names]


def _run(argv: list[str]) -> str:
    return subprocess.run(argv, check=False, capture_output=True, text=True).stdout


@click.command(help=__doc__)
@click.argument("folder", type=Path)
@click.option("--level", default=1, show_default=True, type=click.IntRange(0, 5), help="how hard the builder tries")
def main(folder: Path, level: int) -> None:
    """Measure every way."""
    folder.mkdir(parents=True, exist_ok=True)
    for place, (way, silu) in enumerate(WAYS.items()):
        model = folder / f"{place}.onnx"
        onnx.save(written(silu), model)
        microseconds, layers = timed(model, level, _run)
        click.echo(f"{way}: {microseconds:.1f} us, {len(layers)} layers")
        for name in layers:
            click.echo(f"    {name}")


if __name__ == "__main__":
    main()
