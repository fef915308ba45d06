"""What it takes to make the same run again: versions, hashes, pictures, command lines, seconds."""

import platform
from pathlib import Path
from typing import Any

from polyyolo import __version__
from polyyolo.files import plain, sha256_of
from polyyolo.installed import COMPUTING, versions_of
from polyyolo.records import Run, Toolchain

PACKAGES = (*COMPUTING, "polygraphy", "tensorrt", "tensorrt-rtx")


def of(run: Run, toolchain: Toolchain) -> dict[str, Any]:
    """Gather a run's manifest as plain data.

    Returns:
        keys ``versions``, ``toolchain``, ``model``, ``profile``, ``preprocessing``, ``pictures``, ``commands``,
        ``engine`` and ``seconds``.
    """
    return {
        "versions": {"polyyolo": __version__, "python": platform.python_version(), **versions_of(PACKAGES)},
        "toolchain": plain(toolchain),
        "model": {
            "given": str(run.source.path),
            "sha256": run.source.sha256,
            "licence": run.licence or None,
            "built_from": run.built.path.name,
            "built_from_sha256": run.built.sha256,
            "history": list(run.built.history),
        },
        "profile": plain(run.profile),
        "preprocessing": plain(run.preprocessing),
        "pictures": _pictures(run),
        "commands": [plain(run.plan.command)] if run.plan else [],
        "engine": {"sha256": run.engine.sha256, "size_bytes": run.engine.size_bytes} if run.engine else None,
        "seconds": dict(run.seconds),
    }


def _pictures(run: Run) -> dict[str, Any] | None:
    if run.calibration is None:
        return None
    chosen = run.calibration
    return {
        "sha256": chosen.sha256,
        "seed": chosen.seed,
        "batch": chosen.batch,
        "found": chosen.found,
        "used": [{"path": str(path), "sha256": _sha256(path)} for path in chosen.sources],
        "indices": list(chosen.indices),
        "skipped": [{"path": str(each.path), "reason": each.reason} for each in chosen.skipped],
    }


def _sha256(path: Path) -> str | None:
    """Hash a picture; None where it is there no more."""
    try:
        return sha256_of(path)
    except OSError:
        return None
