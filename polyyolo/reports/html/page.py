"""Put a run's page together: the templates, their style and script, and what they show."""

import base64
import hashlib
import json
import shlex
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from polyyolo.engines.plan import shell_line
from polyyolo.records import Run
from polyyolo.reports import advice, shares
from polyyolo.reports.command_line import engine_line
from polyyolo.reports.costs import costs
from polyyolo.reports.html import accuracy, facts, photos, speed
from polyyolo.reports.sensitivity_plot import inlined

PACKAGE = "polyyolo.reports.html"
LISTED_PICTURES = 2000
"""A manifest's calibration pictures are listed in the page up to this number; manifest.json has all of them."""


def render(run: Run, folder: Path, manifest: Mapping[str, Any]) -> str:
    """Write the page.

    Names of models, classes, layers and files may hold anything: all of it is escaped, and a content security policy
    lets nothing run or load but what stands in the page.

    Args:
        run: its record.
        folder: where its pictures lie.
        manifest: from ``reports.manifest``, or empty.

    Returns:
        HTML, complete, with pictures that take 3.5 MB at most.
    """
    script = (files(PACKAGE) / "report.js").read_text("utf-8")
    environment = Environment(
        loader=PackageLoader(PACKAGE),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"percent": facts.percent, "megabytes": facts.megabytes, "significant": facts.significant}
    return environment.get_template("report.html.jinja").render(
        run=run,
        answer=advice.answer(run),
        steps=advice.advise(run),
        tiles=facts.tiles(run),
        built=facts.built(run),
        commands=_commands(run),
        classes=accuracy.classes(run.fidelity),
        sizes=accuracy.sizes(run.fidelity),
        speed=speed.strips(run.benchmarks),
        sensitivity=inlined(run) if run.sensitivities else "",
        costs=costs(run),
        work=shares.work_shares(run.layers),
        reasons=shares.reasons(run.layers),
        times=shares.time_shares(run.engine_layers),
        album=photos.album(run, folder),
        manifest=json.dumps(_listed(manifest), indent=2) if manifest else "",
        style=(files(PACKAGE) / "report.css").read_text("utf-8"),
        script=script,
        script_hash=base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
    )


def _commands(run: Run) -> list[tuple[str, str]]:
    """What it does -> the line for a shell."""
    asked = run.request
    lines = [("All of this run", shlex.join(engine_line(asked)))] if asked else []
    return lines + ([("The build alone", shell_line(run.plan.command))] if run.plan else [])


def _listed(manifest: Mapping[str, Any]) -> Mapping[str, Any]:
    pictures = manifest.get("pictures")
    used = pictures.get("used") if isinstance(pictures, Mapping) else None
    if not isinstance(pictures, Mapping) or not isinstance(used, list) or len(used) <= LISTED_PICTURES:
        return manifest
    return {**manifest, "pictures": {**pictures, "used": f"{len(used)} pictures: see manifest.json"}}
