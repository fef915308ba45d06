"""A trtexec of any release from 8.5 to 11, and TensorRT for RTX's tensorrt_rtx, without TensorRT and without a GPU.

The fixture ``fake_trtexec(version, fail=None, name="trtexec") -> Path`` in tests/conftest.py installs it as a program;
``version`` is "8.5.3", "8.6.0", "9.3", "10.16", "11.1" or "rtx-1.7". It takes the options of its release and no other,
prints its banner, sections and summary, and ends as the real one does. The times are those of one H200 with 8.6.0.
How tensorrt_rtx spells its banner is a guess; its options are those that NVIDIA's pages name.

Building (``--onnx``) reads the ONNX: names and shapes are checked against it as trtexec does. ``--saveEngine`` writes
a plan with the header of its kind and version, which holds inputs, outputs, profile, precision and the model's path.
Loading (``--loadEngine``) refuses another version, another GPU, garbage, truncation, unknown inputs, and shapes outside
the profile. Inference takes no time; its latency grows with the batch. ``--exportTimes``, ``--exportProfile``,
``--exportLayerInfo`` write what the release writes; ``--exportOutput``, with six digits, and
``--dumpRawBindingsToFile`` run the ONNX that the plan was built from in ONNX Runtime on what ``--loadInputs`` gives
(zeros without).

Environment, read when it runs: ``FAKE_TRTEXEC_FAIL`` overrides ``fail``; ``FAKE_TRTEXEC_GPU`` is the GPU, as
"NVIDIA H200, 9.0". ``fail`` is one of:

no-gpu              CUDA finds no device: aborts (status -6)
out-of-memory       the GPU's memory is full: FAILED, 1
killed              SIGKILL while it works, with half an engine written
hang                works until it is stopped
segfault            writes everything, says PASSED, then dies of SIGSEGV
no-engine           says PASSED, writes no engine
half-engine         says PASSED, the engine is cut in the middle
disk-full           "Saving engine to file failed.": FAILED, 1
truncated-times     the exported times end in the middle
no-times            says PASSED, exports no times
truncated-outputs   the exported outputs end in the middle
silent              prints nothing but its first line, 1
unstable            GPU compute times that vary by a tenth
drift               GPU compute times that grow by a fifth from the first to the last
no-graph            the CUDA graph cannot be captured, which is only warned about
other-gpu           the engine was built on another GPU
"""

import json
import os
import re
import signal
import sys
import time
from pathlib import Path

from dialects import SILENT, options

COMPUTE_MS = (
    *(0.486572, 0.488037, 0.488281, 0.488647, 0.489014, 0.489075, 0.489258, 0.489258, 0.489441, 0.489502),
    *(0.489502, 0.489655, 0.489746, 0.489746, 0.489929, 0.48999, 0.490234, 0.490356, 0.490723, 0.491211, 0.493164),
)
"""Every twentieth of 6114 queries of YOLOv5s in FP16, sorted."""
MEDIAN_MS = {"fp32": 0.642334, "fp16": 0.489502, "int8": 0.428223, "qdq": 0.455322}
H2D_MS, D2H_MS = 0.0968, 0.1665
QUERIES = 210
REPEATED = {"--plugins", "--dynamicPlugins", "--profile", "--minShapes", "--optShapes", "--maxShapes"}
"""What may be told more than once; of any other option the second is unknown."""
LAYERS = (("images_reformat", "Reformat", "Int8", 0.04), ("stem/Conv", "CaskConvolution", "Int8", 0.3))
LAYERS += (("cv1/Conv + act", "CaskConvolution", "Half", 0.1), ("head", "Concat", "Float", 0.02))


class Failed(Exception):  # noqa: N818 - as the program says it
    """What ends in "&&&& FAILED"; its lines go to standard error."""


class Machine:
    """Who runs: version, kind, GPU, and how it shall fail."""

    def __init__(self):
        version = os.environ["FAKE_TRTEXEC_VERSION"]
        self.rtx = version.startswith("rtx-")
        numbers = [int(number) for number in re.findall(r"\d+", version)]
        self.version = tuple((*numbers, 0, 0, 0)[:4])
        self.release = self.version[:2]
        self.fail = os.environ.get("FAKE_TRTEXEC_FAIL", "")
        name, _, capability = os.environ.get("FAKE_TRTEXEC_GPU", "NVIDIA H200, 9.0").rpartition(", ")
        self.gpu = {"name": name, "capability": capability}
        self.quiet_defaults = self.rtx or self.release >= (11, 0)

    @property
    def title(self):
        major, minor, patch, _ = self.version
        number = major * (10000 if major >= 10 else 1000) + minor * 100 + patch
        build = " [b72]" if major >= 10 or self.rtx else ""
        product, name = ("TensorRT-RTX", "tensorrt_rtx") if self.rtx else ("TensorRT", "trtexec")
        return f"{product}.{name} [{product} v{number}]{build} # {' '.join([name, *sys.argv[1:]])}"


def say(text, stream=sys.stdout):
    stream.write(f"{text}\n")
    stream.flush()


def info(text):
    say(f"[11/20/2026-04:30:37] [I] {text}")


def warning(text):
    say(f"[11/20/2026-04:30:37] [W] {text}", sys.stderr)


def error(text):
    for line in text.splitlines():
        say(f"[11/20/2026-04:30:37] [E] {line}", sys.stderr)


def main():
    here = Machine()
    say(f"&&&& RUNNING {here.title}")
    if here.fail == "silent":
        return 1
    try:
        work(here, arguments(here))
    except Failed as failed:
        error(str(failed))
        say(f"&&&& FAILED {here.title}")
        return 1
    say(f"&&&& PASSED {here.title}")
    if here.fail == "segfault":
        os.kill(os.getpid(), signal.SIGSEGV)
    return 0


def arguments(here):
    """Split "--name=value" as trtexec does; a name without a value is a switch."""
    given = {}
    for word in sys.argv[1:]:
        name, _, value = word.partition("=")
        given.setdefault({"-h": "--help", "-v": "--verbose"}.get(name, name), []).append(value)
    unknown = [name for name in given if name not in options(here.release, rtx=here.rtx)]
    unknown += [name for name, values in given.items() if len(values) > 1 and name not in REPEATED]
    if unknown:
        wrong = "\n".join(f"Unknown option: {name} {' '.join(given[name])}" for name in unknown)
        if (8, 6) <= here.release < (10, 0):  # these say first what is wrong
            error(wrong)
            print_help(here)
            raise Failed
        print_help(here)
        raise Failed(wrong)
    for name in set(given) & set(SILENT) if here.quiet_defaults else ():
        warning(f"{name} is deprecated. {SILENT[name]}")
    return given


def print_help(here):
    say("=== Model Options ===")
    for name in sorted(options(here.release, rtx=here.rtx)):
        say(f"  {name}")
        say("                              What it does, in so many words")
    say("\n=== Help ===\n  --help, -h                  Print this message")


def work(here, given):
    if "--help" in given:
        print_help(here)
        return
    if "--saveEngine" in given and "--loadEngine" in given:
        raise Failed("Incompatible load and save engine options selected")
    print_settings(here, given)
    if here.fail == "no-gpu":
        say("Cuda failure: no CUDA-capable device is detected", sys.stderr)
        os.abort()
    info(f"Selected Device: {here.gpu['name']}")
    info(f"Compute Capability: {here.gpu['capability']}")
    info(f"TensorRT version: {'.'.join(map(str, here.version[:3]))}")
    info("Loading standard plugins")
    engine = load(here, given) if "--loadEngine" in given else build(here, given)
    if engine is None:
        return
    if {"--skipInference", "--buildOnly"} & set(given):
        print_profiles(given, engine)
        info("Skipped inference phase since --skipInference is added.")
        return
    infer(here, given, engine)


def print_settings(here, given):
    info("=== Build Options ===")
    strong = here.rtx or here.release >= (11, 0) or "--stronglyTyped" in given
    flags = "".join(f"+{name[2:].upper()}" for name in ("--fp16", "--int8") if name in given or "--best" in given)
    info("Precision: " + ("Strongly Typed" if strong else f"FP32{flags}"))
    info("=== Inference Options ===")
    graph, spin, copies = runtime(here, given)
    warm = given.get("--warmUp", ["200"])[-1]
    info(f"Duration: {given.get('--duration', ['3'])[-1]}s (+ {warm}ms warm up)")
    info(f"Inference Streams: {given.get('--infStreams', given.get('--streams', ['1']))[-1]}")
    for label, on in (("Data transfers", copies), ("Spin-wait", spin), ("CUDA Graph", graph)):
        info(f"{label}: {'Enabled' if on else 'Disabled'}")
    info("=== Device Information ===")


def runtime(here, given):
    """Tell whether CUDA graph, spin wait and copies are on; 11 and RTX turned all three defaults over."""
    if here.quiet_defaults:
        graph = "--noCudaGraph" not in given and given.get("--rtxCudaGraphStrategy", [""])[-1] != "disable"
        return graph, "--noSpinWait" not in given, "--includeDataTransfers" in given
    return "--useCudaGraph" in given, "--useSpinWait" in given, "--noDataTransfers" not in given


# building


def build(here, given):
    model = read_model(given.get("--onnx", [""])[-1])
    profile = build_profile(given, model)
    target = given.get("--saveEngine", [None])[-1]
    if here.fail == "killed":
        if target:
            Path(target).write_bytes(b"half")
        os.kill(os.getpid(), signal.SIGKILL)
    while here.fail == "hang":
        time.sleep(0.1)
    if here.fail == "out-of-memory":
        raise Failed(
            "Error[2]: [virtualMemoryBuffer.cpp::resizePhysical::140] Error Code 2: OutOfMemory (Requested size was "
            "17179869184 bytes.)\nEngine could not be created from network\nBuilding engine failed\n"
            "Failed to create engine from model or file.\nEngine set up failed"
        )
    if "--calib" in given and Path(given["--calib"][-1]).is_file():
        info("[TRT] Reading Calibration Cache for calibrator: EntropyCalibration2")
    engine = {**model, "profile": profile, "precision": precision(here, given, model), "gpu": here.gpu}
    info("Engine built in 12.5 sec.")
    if target:
        save(here, Path(target), engine)
    return engine


def read_model(path):
    import onnx

    if not Path(path).is_file():
        raise Failed(
            f"[TRT] ModelImporter.cpp:730: Failed to parse ONNX model from file: {path}\nFailed to parse onnx file\n"
            "Parsing model failed\nFailed to create engine from model or file.\nEngine set up failed"
        )
    try:
        graph = onnx.load(path, load_external_data=False).graph
    except Exception as error:
        raise Failed(
            f"[TRT] ModelImporter.cpp:730: Failed to parse ONNX model from file: {path}\nFailed to parse onnx file"
        ) from error
    weights = {tensor.name for tensor in graph.initializer}
    return {
        "onnx": str(Path(path).resolve()),
        "inputs": {each.name: dims(each) for each in graph.input if each.name not in weights},
        "outputs": {each.name: dims(each) for each in graph.output},
        "quantized": any(node.op_type == "QuantizeLinear" for node in graph.node),
    }


def dims(value):
    """Give the sizes of a tensor; open ones are -1."""
    return [dim.dim_value or -1 for dim in value.type.tensor_type.shape.dim]


def build_profile(given, model):
    """Make {input: [min, opt, max]} of the shape options, with trtexec's own rules for what is left out."""
    asked = {bound: shapes(given.get(f"--{bound}Shapes", [""])[-1]) for bound in ("min", "opt", "max")}
    asked["opt"] = asked["opt"] or shapes(given.get("--shapes", [""])[-1])
    named = {name for bound in asked.values() for name in bound}
    for name in sorted(named - set(model["inputs"])):
        raise Failed(
            f'Cannot find input tensor with name "{name}" in the network inputs! Please make sure the input tensor '
            "names are correct.\nEngine set up failed"
        )
    opened = {name for name, sizes in model["inputs"].items() if -1 in sizes}
    if named and not opened:
        raise Failed(
            "Static model does not take explicit shapes since the shape of inference tensors will be determined by the "
            "model itself\nNetwork And Config setup failed\nBuilding engine failed\nEngine set up failed"
        )
    profile = {}
    for name, sizes in model["inputs"].items():
        usual = [size if size > 0 else 1 for size in sizes]
        if name in opened and name not in asked["opt"]:
            told = "x".join(map(str, usual))
            warning(
                f"Dynamic dimensions required for input: {name}, but no shapes were provided. Automatically "
                f"overriding shape to: {told}"
            )
        opt = asked["opt"].get(name, usual)
        profile[name] = [asked["min"].get(name, opt), opt, asked["max"].get(name, opt)]
    return profile


def shapes(text):
    """Read "images:1x3x64x64,'a:b':2x2"."""
    found = re.findall(r"(?:'([^']+)'|([^,:']+)):(\d+(?:x\d+)*)", text)
    return {quoted or plain: [int(size) for size in sizes.split("x")] for quoted, plain, sizes in found}


def precision(here, given, model):
    if model["quantized"]:
        return "qdq"
    if "--int8" in given or "--best" in given:
        return "int8"
    return "fp16" if "--fp16" in given or here.quiet_defaults else "fp32"


def save(here, path, engine):
    if here.fail == "disk-full":
        raise Failed("Saving engine to file failed.\nEngine set up failed")
    if here.fail == "no-engine":
        return
    plan = plan_of(engine, here.version, rtx=here.rtx)
    path.write_bytes(plan[: len(plan) // 2] if here.fail == "half-engine" else plan)


def magic_of(version, *, rtx):
    if rtx:
        return b"vtrt"
    return b"ftrt" if version[:2] >= (8, 6) else b"ptrt"


def plan_of(engine, version, *, rtx=False):
    """Write an engine down: the header that real plans have, then all that it is as JSON."""
    body = json.dumps(engine).encode()
    header = magic_of(version, rtx=rtx) + bytes(12) + (32 + len(body)).to_bytes(8, "little")
    return header + bytes(version) + bytes(4) + body


# loading


def load(here, given):
    path = Path(given["--loadEngine"][-1])
    if not path.is_file():
        raise Failed(
            f"Error opening engine file: {path}\nFailed to create engine from model or file.\nEngine set up failed"
        )
    plan = path.read_bytes()
    if "--getPlanVersionOnly" in given:
        info(f"Plan was created with TensorRT version {'.'.join(map(str, plan[24:28]))}")
        return None
    info("Engine loaded in 0.0212851 sec.")
    refused = refusal(here, plan)
    if refused:
        raise Failed(f"{refused}\nEngine deserialization failed\nGot invalid engine!\nInference set up failed")
    info("Engine deserialized in 0.0690545 sec.")
    return json.loads(plan[32:])


def refusal(here, plan):
    start = "Error[1]: [runtime.cpp::parsePlan::314] Error Code 1: Serialization (Serialization assertion"
    if plan[:4] != magic_of(here.version, rtx=here.rtx):
        return f"{start} plan->header.magicTag == rt::kPLAN_MAGIC_TAG failed.)"
    if int.from_bytes(plan[16:24], "little") != len(plan):
        return f"{start} plan->header.size == blobSize failed.)"
    if plan[24:28] != bytes(here.version):
        wanted, got = (".".join(map(str, each)) for each in (here.version, plan[24:28]))
        return (
            "Error[6]: The engine plan file is not compatible with this version of TensorRT, expecting library version "
            f"{wanted} got {got}, please rebuild."
        )
    built = json.loads(plan[32:])["gpu"]["capability"]
    if here.fail == "other-gpu":
        built = "8.6"
    if built != here.gpu["capability"]:
        return (
            "Error[6]: The engine plan file is generated on an incompatible device, expecting compute "
            f"{here.gpu['capability']} got compute {built}, please rebuild."
        )
    return ""


def print_profiles(given, engine):
    """Print them only where inference is skipped, as trtexec 9.0 to 11 do."""
    if "--dumpOptimizationProfile" in given:
        info("Optimization Profile Information:")
        for name, bounds in engine["profile"].items():
            low, opt, high = ("x".join(map(str, sizes)) for sizes in bounds)
            info(f"Model input {name} (profile 0): min={low}, opt={opt}, max={high}")


# inference


def created(here, name, sizes):
    """Say that an input is there, as each release does."""
    if here.version < (8, 6, 1, 0) and not here.rtx:
        return f"Created input binding for {name} with dimensions {sizes}"
    kind = " and type fp32" if here.quiet_defaults else ""
    return f"Input binding for {name} with dimensions {sizes}{kind} is created."


def infer(here, given, engine):
    taken = inference_shapes(given, engine)
    if here.fail == "out-of-memory":
        raise Failed(
            "Error[2]: [defaultAllocator.cpp::allocateAsync::48] Error Code 2: OutOfMemory (Requested size was "
            "17179869184 bytes.)\nUnable to create execution context.\nInference set up failed"
        )
    if here.fail == "killed":
        os.kill(os.getpid(), signal.SIGKILL)
    for name, sizes in taken.items():
        info(created(here, name, "x".join(map(str, sizes))))
    info("Starting inference")
    while here.fail == "hang":
        time.sleep(0.1)
    if here.fail == "no-graph" and runtime(here, given)[0]:
        warning("The CUDA graph capture on the stream has failed.")
        warning("The built TensorRT engine contains operations that are not permitted under CUDA graph capture mode.")
        lost = (
            "CUDA graph capture failed."
            if here.quiet_defaults
            else "The specified --useCudaGraph flag has been ignored."
        )
        warning(
            f"{lost} The inference will be launched without using CUDA graph{'' if here.quiet_defaults else ' launch'}."
        )
    queries = timed(here, given, engine, next(iter(taken.values()))[0])
    export(here, given, engine, taken, queries)
    profiled = {"--dumpProfile", "--exportProfile"} & set(given)
    if profiled and "--separateProfileRun" not in given and not here.quiet_defaults:
        info(
            "The e2e network timing is not reported since it is inaccurate due to the extra synchronizations when the "
            "profiler is enabled."
        )
        return
    summarize(here, given, queries)


def inference_shapes(given, engine):
    asked = shapes(given.get("--shapes", [""])[-1])
    for name in sorted(set(asked) - set(engine["inputs"])):
        raise Failed(
            f'Cannot find input tensor with name "{name}" in the engine bindings! Please make sure the input tensor '
            "names are correct.\nInvalid tensor names found in --shapes flag.\nInference set up failed"
        )
    taken = {}
    for name, (low, opt, high) in engine["profile"].items():
        own = [a if a == b else -1 for a, b in zip(low, high, strict=True)]
        shape = asked.get(name, own if "--loadEngine" in given else opt)
        if -1 in shape:
            shape = [size if size > 0 else 1 for size in shape]
            warning(
                f"Shape missing for input with dynamic shape: {name}Automatically setting shape to: "
                f"{'x'.join(map(str, shape))}"
            )
        fits = len(shape) == len(low) and all(a <= b <= c for a, b, c in zip(low, shape, high, strict=True))
        if not fits:
            same = all(mine in (-1, size) for mine, size in zip(own, shape, strict=False))
            condition = (
                "satisfyProfile. Runtime dimension does not satisfy any optimization profile."
                if same
                else "engineDims.d[i] == dims.d[i]. Static dimension mismatch while setting input shape."
            )
            raise Failed(
                "Error[3]: [executionContext.cpp::setInputShape::2229] Error Code 3: API Usage Error (Parameter check "
                f"failed at: runtime/api/executionContext.cpp::setInputShape::2229, condition: {condition}\n)\n"
                "Inference set up failed"
            )
        taken[name] = shape
    return taken


def timed(here, given, engine, batch):
    """Make the entries of --exportTimes, in milliseconds since the start."""
    scale = MEDIAN_MS[engine["precision"]] / MEDIAN_MS["fp16"] * (0.8 + 0.2 * batch)
    copies = runtime(here, given)[2]
    began, entries = float(given.get("--warmUp", ["200"])[-1]), []
    for index in range(QUERIES):
        compute = COMPUTE_MS[index * 8 % len(COMPUTE_MS)] * scale  # 8 and 21 share no factor: each comes as often
        compute *= 1 + {"unstable": 0.2 * (index % 2), "drift": 0.2 * index / QUERIES}.get(here.fail, 0)
        h2d, d2h = (H2D_MS * batch, D2H_MS * batch) if copies else (0.0, 0.0)
        ends = began + compute
        entries.append({
            "startEnqMs": began - 0.3, "endEnqMs": began - 0.298, "startH2dMs": began - h2d, "endH2dMs": began,
            "startComputeMs": began, "endComputeMs": ends, "startD2hMs": ends, "endD2hMs": ends + d2h,
            "h2dMs": h2d, "computeMs": compute, "d2hMs": d2h, "latencyMs": h2d + compute + d2h,
        })  # fmt: skip
        began = ends
    return [{key: float(f"{value:.6g}") for key, value in entry.items()} for entry in entries]


def export(here, given, engine, taken, queries):
    if "--exportTimes" in given and here.fail != "no-times":
        text = "[\n  " + "\n, ".join(json.dumps(entry) for entry in queries) + "\n]\n"
        cut = len(text) // 2 if here.fail == "truncated-times" else len(text)
        Path(given["--exportTimes"][-1]).write_text(text[:cut])
    if "--exportProfile" in given:
        total = sum(ms for *_, ms in LAYERS)
        lines = [f'  {{ "count" : {QUERIES} }}'] + [
            f', {{ "name" : "{name}", "timeMs" : {ms * QUERIES:g}, "averageMs" : {ms:g}, "medianMs" : {ms:g}, '
            f'"percentage" : {100 * ms / total:g} }}'
            for name, _, _, ms in LAYERS
        ]
        Path(given["--exportProfile"][-1]).write_text("\n".join(["[", *lines, "]"]) + "\n")
    if "--exportLayerInfo" in given:
        Path(given["--exportLayerInfo"][-1]).write_text(json.dumps(layer_info(here, engine), indent=2))
    if "--exportOutput" in given:
        exported = [
            {"name": name, "dimensions": "x".join(map(str, value.shape)), "values": six_digits(value)}
            for name, value in outputs(given, engine, taken)
        ]
        text = "\n, ".join(map(json.dumps, exported))
        text = text[: len(text) // 2] if here.fail == "truncated-outputs" else f"[\n  {text}\n]\n"
        Path(given["--exportOutput"][-1]).write_text(text)
    if "--dumpRawBindingsToFile" in given:
        info("Dumping I/O Bindings to RAW Files:")
        for name, value in outputs(given, engine, taken):
            dump_raw(here, name, value)


def six_digits(value):
    """Round as C++ prints a float unless told otherwise."""
    return [float(f"{each:.6g}") for each in value.ravel().tolist()]


def dump_raw(here, name, value):
    """Write the bytes of an output into the working directory, under a name without anything odd."""
    kinds = ("Float", "Half") if here.release < (9, 0) else ("fp32", "fp16")
    kind, sizes = kinds[value.dtype.itemsize == 2], ".".join(map(str, value.shape))
    file = f"{re.sub(r'[^A-Za-z0-9._,-]', '_', name)}.output.{sizes}.{kind}.raw"
    info(f"Writing file for output binding {name} (with datatype {kind} and dimensions {sizes}) to {file}")
    value.tofile(file)


def layer_info(here, engine):
    def tensor(kind):
        if here.quiet_defaults:
            return {"Name": "t", "Location": "Device", "Dimensions": [1, 16], "Datatype": kind, "Format": "Linear"}
        return {"Name": "t", "Location": "Device", "Dimensions": [1, 16], "Format/Datatype": f"Row major linear {kind}"}

    layers = [
        {"Name": name, "LayerType": kind, "Inputs": [tensor(dtype)], "Outputs": [tensor(dtype)], "Metadata": ""}
        for name, kind, dtype, _ in LAYERS
    ]
    names = [*engine["inputs"], *engine["outputs"]]
    if here.quiet_defaults:
        return {"Layers": layers, "I/O Tensors": [{"Name": name} for name in names]}
    return {"Layers": layers, "Bindings": names}


def outputs(given, engine, taken):
    import numpy as np
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.add_session_config_entry("session.disable_quant_qdq", "1")  # FP16 scales cannot be fused
    session = onnxruntime.InferenceSession(engine["onnx"], options, providers=["CPUExecutionProvider"])
    files = dict(re.findall(r"(?:'?([^,:']+)'?):([^,]+)", given.get("--loadInputs", [""])[-1]))
    types = {each.name: np.float16 if "float16" in each.type else np.float32 for each in session.get_inputs()}
    feed = {
        name: np.fromfile(files[name], types[name]).reshape(sizes) if name in files else np.zeros(sizes, types[name])
        for name, sizes in taken.items()
    }
    return zip([each.name for each in session.get_outputs()], session.run(None, feed), strict=True)


def summarize(here, given, queries):
    wall = sum(entry["computeMs"] for entry in queries) / 1000
    info(f"Warmup completed 100 queries over {given.get('--warmUp', ['200'])[-1]} ms")
    info(f"Timing trace has {len(queries)} queries over {wall:.6g} s")
    info("")
    info("=== Trace details ===")
    info("Trace averages of 10 runs:")
    info("Average on 10 runs - GPU latency: 0.489 ms - Host latency: 0.489 ms (enqueue 0.002 ms)")
    info("")
    info("=== Performance summary ===")
    info(f"Throughput: {len(queries) / wall:.6g} qps")
    labels = {"Latency": "latencyMs", "Enqueue Time": "", "H2D Latency": "h2dMs", "GPU Compute Time": "computeMs"}
    for label, key in {**labels, "D2H Latency": "d2hMs"}.items():
        info(f"{label}: {spread(sorted(entry[key] if key else 0.002 for entry in queries), given)}")
    info(f"Total Host Walltime: {wall:.6g} s")
    info(f"Total GPU Compute Time: {wall:.6g} s")
    if here.fail in ("unstable", "drift"):
        warning("* GPU compute time is unstable, with coefficient of variance = 9.1%.")
    info("Explanations of the performance metrics are printed in the verbose logs.")


def spread(values, given):
    count = len(values)
    points = [int(point) for point in given.get("--percentile", ["90,95,99"])[-1].split(",")]
    figures = {"min": values[0], "max": values[-1], "mean": sum(values) / count, "median": values[count // 2]}
    figures |= {f"percentile({point}%)": values[min(count - 1, count * point // 100)] for point in points}
    return ", ".join(f"{name} = {value:.6g} ms" for name, value in figures.items())


if __name__ == "__main__":
    sys.exit(main())
