"""What builders print when they fail, and what to do about it."""

import re
import signal

from polyyolo.engines.running import Ended

DISK_FULL = re.compile(r"No space left on device|Errno 28|Disk quota exceeded|File too large", re.IGNORECASE)

KNOWN = (
    (
        r"does not support this compute capability|Compute capability \S+ .*not supported|no kernel image",
        "this TensorRT does not know that GPU: install a release that does, or name another GPU",
    ),
    (
        r"CUDA driver version is insufficient|CUDA initialization failure|no CUDA-capable device",
        "building with TensorRT needs a working NVIDIA driver and GPU; --toolchain rtx builds without",
    ),
    (
        r"out of memory|OutOfMemory|Cannot allocate memory|bad_alloc|MemoryError",
        "free memory, or lower max in the profile",
    ),
    (r"No module named '?tensorrt_rtx", "pip install 'polyyolo[rtx]'"),
    (r"No module named '?tensorrt", "pip install 'polyyolo[tensorrt]'"),
    (r"Unknown option: (?P<what>\S+)", "this trtexec does not know {what}: build with its own release of TensorRT"),
    (
        r"No importer registered for op|Unsupported operator|UNSUPPORTED_NODE|Plugin not found",
        "the model holds an operator that this TensorRT does not know: polyyolo surgeon simplify may remove it",
    ),
    (
        r"Cannot find input tensor with name",
        "the profile names another model's inputs: polyyolo inspect model shows this one's",
    ),
)


def fix_for(lines: tuple[str, ...]) -> str:
    """Find what to do about a failure whose words are known; else point to the log."""
    text = "\n".join(lines)
    for pattern, fix in KNOWN:
        found = re.search(pattern, text, re.IGNORECASE)
        if found:
            return fix.format(**found.groupdict())
    return "the log holds all that it said"


def end_of(ended: Ended) -> str:
    """Say how a program ended, in the words of whoever looks for the cause."""
    killer = -ended.status if ended.status < 0 else ended.status - 128 if ended.status > 128 else 0
    said = " although it said PASSED" if any("&&&& PASSED" in line for line in ended.lines) else ""
    if killer:
        name = signal.Signals(killer).name if killer in set(signal.Signals) else f"signal {killer}"
        memory = ", as the system does when memory runs out" if name == "SIGKILL" else ""
        return f"was killed by {name}{memory}{said}"
    return f"ended with status {ended.status}{said}"
