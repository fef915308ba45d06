"""polyyolo plan: the exact commands, before anything runs."""

import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from polyyolo.cli.build_options import NAMES, BuildRequest, build_options, read, with_cache, with_float_layers
from polyyolo.cli.console import bars, print_json
from polyyolo.cli.familiar_options import PassingOn
from polyyolo.errors import InputError, PolyYoloError

if TYPE_CHECKING:
    from polyyolo.records import BuildPlan

BUILD = frozenset(NAMES) - {"spelt_onnx"}
"""Options that ``build`` has too, without the one that spells MODEL."""


@click.command(cls=PassingOn)
@build_options
@click.option("--tensorrt", metavar="8.6|10.16|11.4", help="release on another machine  [the one that is here]")
@click.option(
    "-o", "--output", default=Path(), type=click.Path(path_type=Path), help="folder of the engine  [this one]"
)
@click.option("--json", "as_json", is_flag=True, help="print JSON")
def plan(build: dict[str, Any], tensorrt: str | None, output: Path, *, as_json: bool) -> None:
    """Print the commands that build MODEL, as it is, into an engine: Polygraphy's and trtexec's.

    What is printed can be pasted into a POSIX shell; notes and refusals stand in comments.
    """
    with bars(quiet=True) as shown:
        asked = read(build, tensorrt)
    engine = output / f"{asked.spec.path.stem}.plan"
    asked = with_cache(asked, engine)
    if asked.options.extra and not asked.options.program:
        raise InputError("words behind -- are for one program", fix="say which: --program trtexec or polygraphy")
    plans, refused = _plans(asked, engine)  # what cannot be built is refused before the model is looked into
    if not plans:
        raise next(iter(refused.values()))
    plans, refused = _plans(with_float_layers(asked), engine)
    with bars(quiet=True) as doubts:
        _refuse_unfit_cache(asked)
    notes = [*shown.notes, *(f"{told['message']}: {told['fix']}" for told in doubts.warnings), *_first(asked, engine)]
    if as_json:
        refusals = {program: {"message": error.message, "fix": error.fix} for program, error in refused.items()}
        commands = {program: _plain(made) for program, made in plans.items()}
        print_json({"commands": commands, "refused": refusals, "notes": notes})
    else:
        click.echo("\n".join([*map(_comment, notes), *_lines(plans, refused)]))


def _first(asked: BuildRequest, engine: Path) -> Iterator[str]:
    """Say what has to be done before the commands can run."""
    if asked.pictures and not asked.calibration:
        made_by = shlex.join(_build_line(asked, engine))
        yield f"{asked.options.calibration_cache} is made of {asked.pictures} by: {made_by}"
    elif (cache := asked.options.calibration_cache) and not asked.calibration and not cache.exists():
        yield f"{cache} is not here: which layers it keeps in float, and whether it fits, is not known"


def _build_line(asked: BuildRequest, engine: Path) -> Iterator[str]:
    """Spell ``polyyolo build`` with what was asked for here."""
    from polyyolo.files import file_word

    yield from ("polyyolo", "build", file_word(asked.spec.path))
    context = click.get_current_context()
    for option in context.command.params:
        name = str(option.name)
        if name in BUILD and context.get_parameter_source(name) is ParameterSource.COMMANDLINE:
            given = context.params[name]
            for value in given if option.multiple else (given,):
                yield option.opts[0] if value is True else f"{option.opts[0]}={value}"
    yield from ("-o", str(engine), *(("--", *asked.options.extra) if asked.options.extra else ()))


def _refuse_unfit_cache(asked: BuildRequest) -> None:
    """Look at the calibration cache, where it is on this machine; ``build`` does so too.

    Raises:
        TableError: it must not be used.
    """
    cache = asked.options.calibration_cache
    if cache and cache.exists() and not asked.pictures:
        from polyyolo.quantization.cache_fit import refuse_unfit

        refuse_unfit(cache, asked.spec, asked.toolchain)


def _plans(asked: BuildRequest, engine: Path) -> "tuple[dict[str, BuildPlan], dict[str, PolyYoloError]]":
    """Plan with each program that drives this toolchain, or with the one that was asked for."""
    from attrs import evolve

    from polyyolo.engines.plan import Program, make_plan
    from polyyolo.records import ToolchainKind

    every = [Program.POLYGRAPHY] if asked.toolchain.kind is not ToolchainKind.TENSORRT else list(Program)
    plans, refused = {}, {}
    for program in [asked.options.program] if asked.options.program else every:
        options = evolve(asked.options, program=program)
        try:
            plans[program.value] = make_plan(asked.spec, asked.profile, asked.toolchain, engine, options)
        except PolyYoloError as error:
            refused[program.value] = error
    return plans, refused


def _plain(made: "BuildPlan") -> dict[str, Any]:
    from polyyolo.engines.plan import shell_line
    from polyyolo.files import plain

    command = plain(made.command)
    return {**command, "shell": shell_line(made.command), "engine": str(made.engine), "notes": list(made.notes)}


def _lines(plans: "dict[str, BuildPlan]", refused: dict[str, PolyYoloError]) -> Iterator[str]:
    from polyyolo.engines.plan import shell_line
    from polyyolo.engines.refusals import name_of

    for program, made in plans.items():
        yield _comment(f"{program}, {name_of(made.toolchain)}, {made.precision.value}, profile {made.profile.name}")
        yield from (_comment(f"  {note}") for note in made.notes)
        yield shell_line(made.command)
    for program, error in refused.items():
        yield _comment(f"not with {program}: {error.message}")
        yield _comment(f"  fix: {error.fix}")


def _comment(text: str) -> str:
    """Keep a shell from running any of it: names of files may hold line breaks."""
    return "\n".join(f"# {line}" for line in text.splitlines())
