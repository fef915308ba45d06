"""The command lines of every generation of trtexec, as functions of a POSIX shell; the plans are what spells them."""

from collections.abc import Callable, Iterator
from itertools import groupby
from pathlib import Path, PurePosixPath

from attrs import evolve, frozen

from polyyolo.bundling.contents import (
    ENGINE,
    ENGINES,
    LAYER_TIMES,
    LAYERS,
    MODELS,
    TIMES,
    Bundle,
    exported,
    given,
    index_of,
)
from polyyolo.bundling.forms import Form, Forms
from polyyolo.bundling.measuring import Measuring
from polyyolo.decisions import CACHE
from polyyolo.engines.plan import BuildOptions, Program, make_plan, shell_line, typing_for
from polyyolo.engines.programs import TRTEXEC_FOLDERS
from polyyolo.engines.toolchain import named
from polyyolo.engines.trtexec_timing import Dialect
from polyyolo.errors import PolyYoloError
from polyyolo.records import BuildPlan, Profile, Route, Toolchain, ToolchainKind


@frozen
class Generation:
    """Releases of trtexec that speak one dialect: from this one to the next generation.

    Attributes:
        first: the oldest of them.
        number: how its banner spells that release.
    """

    first: str
    number: int

    @property
    def toolchain(self) -> Toolchain:
        """What plans are made for."""
        return named(self.first)


GENERATIONS = (
    Generation("11.0", 110000),
    Generation("10.0", 100000),
    Generation("9.0", 9000),
    Generation("8.6", 8600),
    Generation("8.5", 8500),
)
"""The newest first."""

RTX = "1.7"
PARTIAL_ENGINE = PurePosixPath(ENGINES, ".model.plan")
WRITTEN_CACHE = PurePosixPath(ENGINES, CACHE)
READINGS = ("clocks.sm", "clocks.mem", "power.draw", "temperature.gpu")
"""What nvidia-smi is asked for while the speed is measured: MHz, MHz, W, degrees Celsius."""
FRESH = "results.partial"
"""Where results lie until all of them are there."""
INDEX = "@INDEX@"
"""Stands for the number of a reference in a command line."""


def plan_for(forms: Forms, profile: Profile, route: Route, toolchain: Toolchain, engine: PurePosixPath) -> BuildPlan:
    """Plan the build on another machine; paths are below the bundle.

    Raises:
        PolyYoloError: that generation cannot build it.
    """
    form = forms.for_build(route, typing_for(toolchain, route))
    spec = evolve(form.spec, path=Path(MODELS, form.spec.path.name))
    options = BuildOptions(
        route=route,
        program=Program.TRTEXEC,
        calibration_cache=Path(WRITTEN_CACHE) if route is Route.CALIBRATED else None,
        half=form.half,
        float_layers=forms.float_layers if route is Route.CALIBRATED else (),
    )
    return make_plan(spec, profile, toolchain, Path(engine), options)


def rtx_line(bundle: Bundle, forms: Forms) -> str:
    """Spell the build for TensorRT for RTX, which Polygraphy drives; a line for each option, or why it cannot be."""
    form, toolchain = forms.strong, named(RTX, kind=ToolchainKind.RTX)
    spec = evolve(form.spec, path=Path(MODELS, form.spec.path.name))
    try:
        plan = make_plan(spec, bundle.profile, toolchain, Path(ENGINE), BuildOptions(half=form.half))
    except PolyYoloError as error:
        return f"  {error.message}"
    return "  " + shell_line(plan.command).replace(" --", " \\\n    --").replace(" polygraphy", " \\\n    polygraphy")


def shell_functions(bundle: Bundle, forms: Forms) -> str:
    """Spell every generation's commands as functions of a POSIX shell.

    Each takes ROUTE and NUMBER, of trtexec's banner, then a command that the arguments are given to; ``outputs_with``
    takes the number of a reference from ``$index``.
    """
    ways = {
        "build_with": lambda route, generation: _build(bundle, forms, route, generation),
        "speed_with": lambda route, generation: _run(
            _measuring(forms, route, generation).speed(bundle.shapes, f"{FRESH}/{TIMES}")
        ),
        "layers_with": lambda route, generation: _run(
            _measuring(forms, route, generation).layers(bundle.shapes, f"{FRESH}/{LAYERS}", f"{FRESH}/{LAYER_TIMES}")
        ),
        "outputs_with": lambda route, generation: _outputs(bundle, forms, route, generation),
    }
    lines = [
        f"# Written by polyyolo {bundle.polyyolo} from its own plans: the arguments of every generation of trtexec.",
        "",
        f"oldest_number={GENERATIONS[-1].number}",
        f"oldest_release={GENERATIONS[-1].first}",
        f"default_route={bundle.route.value}",
        f"known_routes={_quoted(' '.join(route.value for route in bundle.routes))}",
        f"references={_quoted(' '.join(map(index_of, range(len(bundle.references)))))}",
        f"gpu_readings={','.join(READINGS)}",
        f"usual_folders={_quoted(' '.join(TRTEXEC_FOLDERS))}",
    ]
    for name, way in ways.items():
        lines += ["", *_function(name, bundle.routes, way)]
    return "\n".join(lines) + "\n"


def _function(name: str, routes: tuple[Route, ...], way: Callable[[Route, Generation], Iterator[str]]) -> Iterator[str]:
    yield f"{name}() {{"
    yield "  way=$1 number=$2"
    yield "  shift 2"
    word = "if"
    for route in routes:
        bodies = [(tuple(way(route, generation)), generation) for generation in GENERATIONS]
        for body, alike in groupby(bodies, key=lambda each: each[0]):
            *_, (_, oldest) = alike
            yield f'  {word} [ "$way" = {route.value} ] && [ "$number" -ge {oldest.number} ]; then'
            yield from (f"    {line}" for line in body)
            word = "elif"
    yield "  else"
    yield '    unknown "$way" "$number"'
    yield "  fi"
    yield "}"


def _build(bundle: Bundle, forms: Forms, route: Route, generation: Generation) -> Iterator[str]:
    try:
        plan = plan_for(forms, bundle.profile, route, generation.toolchain, PARTIAL_ENGINE)
    except PolyYoloError as error:
        fix = "sh build.sh qdq" if route is Route.CALIBRATED else error.fix
        yield f"refuse {_quoted(error.message)} {_quoted(fix)}"
        return
    yield from _run(plan.command.argv[1:])


def _outputs(bundle: Bundle, forms: Forms, route: Route, generation: Generation) -> Iterator[str]:
    if not bundle.references:
        yield ":"
        return
    first, form = bundle.references[0], _form(forms, route, generation)
    dtype = form.spec.image_input.dtype
    shapes = {**bundle.shapes, bundle.image: (first.batch, *bundle.shapes[bundle.image][1:])}
    measuring = _measuring(forms, route, generation)
    yield from _run(measuring.outputs(shapes, given(INDEX, dtype), f"{FRESH}/{exported(INDEX)}"))


def _form(forms: Forms, route: Route, generation: Generation) -> Form:
    return forms.for_build(route, typing_for(generation.toolchain, route))


def _measuring(forms: Forms, route: Route, generation: Generation) -> Measuring:
    return Measuring(_form(forms, route, generation).spec, ENGINE, Dialect(generation.toolchain.release))


def _run(arguments: tuple[str, ...]) -> Iterator[str]:
    *most, last = arguments
    yield '"$@" \\'
    yield from (f"  {_word(word)} \\" for word in most)
    yield f"  {_word(last)}"


def _word(word: str) -> str:
    return _quoted(word).replace(INDEX, "'\"$index\"'")


def _quoted(text: str) -> str:
    """Quote for a POSIX shell, always, so that what is put in later stands between quotes too."""
    return "'" + text.replace("'", "'\"'\"'") + "'"
