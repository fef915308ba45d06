"""Look at everything, and say first what it comes to."""

from collections.abc import Sequence

from polyyolo.engines import toolchain
from polyyolo.machine.builders import look_at_builders
from polyyolo.machine.finding import Diagnosis, Finding, State, examined
from polyyolo.machine.fit import look_at_versions
from polyyolo.machine.graphics import RTX_ENGINES, look_at_gpu
from polyyolo.machine.packages import look_at_packages, look_at_python
from polyyolo.machine.room import look_at_cache, look_at_memory, look_at_runs
from polyyolo.records import Toolchain, ToolchainKind


def diagnose() -> Diagnosis:
    """Look at this machine; never raises, but for Ctrl-C."""
    found = _toolchain()
    findings = (
        *examined("python", look_at_python),
        *examined("packages", look_at_packages, needed=True),
        *examined("versions", look_at_versions),
        *examined("builders", lambda: look_at_builders(found), needed=True),
        *examined("gpu", look_at_gpu),
        *examined("room", look_at_runs),
        *examined("room", look_at_cache),
        *examined("room", look_at_memory),
    )
    blocking = [each for each in findings if each.blocks]
    ready = found.kind is not ToolchainKind.NONE and not blocking
    return Diagnosis(ready, _ready(found, findings) if ready else _not_ready(found, blocking), found, findings)


def _toolchain() -> Toolchain:
    try:
        return toolchain.find()
    except Exception as error:  # noqa: BLE001 - what is broken is found one by one below
        return Toolchain(ToolchainKind.NONE, missing=(f"looking for a toolchain failed: {error}",))


def _ready(found: Toolchain, findings: Sequence[Finding]) -> str:
    from polyyolo.engines.refusals import name_of  # needs packages that a broken machine lacks

    builds = f"Ready: builds {name_of(found)} engines"
    if found.kind is ToolchainKind.TENSORRT:
        return f"{builds} for the {found.gpu} here, and can measure them."
    if not found.gpu:
        return f"{builds} without a GPU; cannot measure speed."
    if any(each.name == RTX_ENGINES and each.state is State.FOUND for each in findings):
        return f"{builds}, and the {found.gpu} here can run them."
    return f"{builds}; the {found.gpu} here cannot run them, so that speed cannot be measured."


def _not_ready(found: Toolchain, blocking: Sequence[Finding]) -> str:
    if not blocking:
        return "Not ready: models can be prepared here, but nothing here builds engines."
    names = ", ".join(dict.fromkeys(each.name for each in blocking))
    also = "; nor does anything here build engines" if found.kind is ToolchainKind.NONE else ""
    return f"Not ready: something is wrong with {names}{also}."
