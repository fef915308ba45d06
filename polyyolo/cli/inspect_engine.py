"""polyyolo inspect engine: what a plan is, told from its bytes; with its TensorRT and a GPU, what is inside."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from polyyolo.cli.console import bars, print_json
from polyyolo.cli.facts import short, show_facts, told
from polyyolo.errors import InputError, ToolchainError

if TYPE_CHECKING:
    from polyyolo.engines.engine_file import EngineFile
    from polyyolo.engines.inside import Inside
    from polyyolo.records import ShapeRange


@click.command()
@click.argument("engine", type=click.Path(path_type=Path))
@click.option(
    "--strip",
    "bare",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="write the plan without Ultralytics' header",
)
@click.option("--json", "as_json", is_flag=True, help="print JSON")
def engine(engine: Path, bare: Path | None, *, as_json: bool) -> None:
    """Show what built ENGINE, what Ultralytics wrote into it and, where it loads, its inputs, profiles and memory."""
    from polyyolo.engines.bindings import foreign
    from polyyolo.engines.engine_file import read_engine_file
    from polyyolo.engines.gpu import first_gpu
    from polyyolo.files import plain, sha256_of

    with bars(quiet=as_json):
        found = read_engine_file(engine)
        if bare:
            _strip(found, bare)
        inside, trouble = _look(found)
        sha256 = sha256_of(engine)
    unknown = trouble.message if trouble else ""
    if as_json:
        print_json({**plain(found), "sha256": sha256, "inside": plain(inside), "inside_unknown": unknown})
    else:
        show_facts(str(found.path), (*_outside(found, sha256), *_inside(inside, unknown)))
    if trouble and not bare and (foreign(found) or first_gpu().name):
        raise trouble


def _strip(found: "EngineFile", bare: Path) -> None:
    from polyyolo.engines.engine_file import strip

    if not found.offset:
        raise InputError(f"{found.path} is a bare plan already", fix="leave --strip out")
    strip(found, bare)


def _look(found: "EngineFile") -> "tuple[Inside | None, ToolchainError | None]":
    """Look inside, or tell why that cannot be done here."""
    from polyyolo.engines.bindings import foreign
    from polyyolo.engines.inside import look_inside

    try:
        return look_inside(found), None
    except ToolchainError as error:
        return None, foreign(found) or error


def _outside(found: "EngineFile", sha256: str) -> Iterator[tuple[str, str]]:
    yield "file", f"{found.size_bytes:,} bytes, sha256 {sha256}"
    yield "built with", found.product
    if found.metadata is not None:
        yield "in front", f"{found.offset:,} bytes of Ultralytics' metadata; --strip FILE writes the plan without"
        for key, value in found.metadata.items():
            yield f"metadata: {key}", short(str(value))


def _inside(inside: "Inside | None", unknown: str) -> Iterator[tuple[str, str]]:
    if inside is None:
        yield "inside", f"not looked at: {unknown}"
        return
    yield "inputs", "\n".join(map(told, inside.inputs))
    yield "outputs", "\n".join(map(told, inside.outputs))
    for number, profile in enumerate(inside.profiles):
        yield f"profile {number}", "\n".join(f"{name} {_range(shapes)}" for name, shapes in profile.items())
    yield "memory", f"{inside.memory_bytes / 2**20:,.1f} MiB on the GPU while it runs, weights apart"
    yield "layers", f"{inside.layers:,}"


def _range(shapes: "ShapeRange") -> str:
    sides = ("x".join(map(str, side)) for side in (shapes.min, shapes.opt, shapes.max))
    return "min {}, opt {}, max {}".format(*sides)
