"""Shape profiles: read from TOML, filled in for a model, refused with all their mistakes at once.

A profile file holds one ``[[profile]]`` table for each TensorRT optimisation profile, and in it one table an input::

    [[profile]]
    [profile."*"]            # "*" is the model's image input; any other name is taken as it is
    min = [1, 3, 640, 640]
    opt = [8, 3, 640, 640]
    max = [16, 3, 640, 640]
"""

import difflib
import importlib.resources
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from polyyolo import progress
from polyyolo.engines.mistakes import Mistakes
from polyyolo.engines.profile_file import Draft, Optimizations, optimizations_of
from polyyolo.engines.profile_fit import fitted, ranges
from polyyolo.errors import ProfileError
from polyyolo.files import read_toml
from polyyolo.models.own_size import own_shape
from polyyolo.records import ModelSpec, Profile, ShapeRange, TensorSpec


def ready() -> tuple[str, ...]:
    """Name the profiles that come with polyyolo."""
    folder = importlib.resources.files("polyyolo.ready_profiles")
    return tuple(sorted(Path(entry.name).stem for entry in folder.iterdir() if entry.name.endswith(".toml")))


def load(name_or_path: str, spec: ModelSpec | None = None) -> Profile:
    """Read a ready profile by name, or a TOML file.

    Args:
        name_or_path: "batch-1-16", or a path.
        spec: where given, the profile is resolved for this model too, and mistakes of both kinds are told together.

    Raises:
        ProfileError: no such profile, or everything that is wrong with it.
        InputError: the file is no TOML; the message has the line.
    """
    name = Path(name_or_path).stem if name_or_path.endswith(".toml") else name_or_path
    mistakes = Mistakes(name)
    return _checked(optimizations_of(_read(name_or_path), mistakes), spec, mistakes)


def resolve(profile: Profile, spec: ModelSpec) -> Profile:
    """Fill in ``*`` and inputs of fixed shape, and check every shape against the model.

    Raises:
        ProfileError: all mistakes: unknown inputs, inputs without a shape, rank, axes that the model fixes, a number of
            channels that varies, heights and widths that are no multiples of the model's largest stride.
    """
    drafts = tuple(
        {name: Draft(shapes.min, shapes.opt, shapes.max) for name, shapes in inputs.items()}
        for inputs in profile.optimizations
    )
    return _checked(drafts, spec, Mistakes(profile.name))


def default(spec: ModelSpec) -> Profile:
    """Make the profile that nobody asked for: one picture, of the model's own size.

    An open height or width becomes what the exporter left as ``imgsz``, else 640; an open batch becomes 1.

    Raises:
        ProfileError: another input than the image has open axes: its shapes cannot be guessed.
    """
    image, shape = spec.image_input, own_shape(spec)
    told = "x".join(str(size) for size in shape)
    if image.is_dynamic:
        progress.note(f"no profile was given: {image.name} will take {told} and nothing else")
    return resolve(Profile(f"default-{told}", ({image.name: ShapeRange(shape, shape, shape)},)), spec)


def dynamic_inputs(spec: ModelSpec) -> tuple[TensorSpec, ...]:
    """Give the inputs whose shapes a builder must be told; trtexec refuses to be told the others."""
    return tuple(tensor for tensor in spec.inputs if tensor.is_dynamic)


def _read(name_or_path: str) -> Mapping[str, Any]:
    path = Path(name_or_path)
    if name_or_path.endswith(".toml") or path.is_file():
        return read_toml(path)
    names = ready()
    if name_or_path not in names:
        meant = difflib.get_close_matches(name_or_path, names, n=1)
        raise ProfileError(
            f"there is no profile {name_or_path!r}" + (f"; did you mean {meant[0]}?" if meant else ""),
            fix=f"use one of {', '.join(names)}, or the path of a .toml file",
        )
    entry = importlib.resources.files("polyyolo.ready_profiles").joinpath(f"{name_or_path}.toml")
    with importlib.resources.as_file(entry) as packaged:
        return read_toml(packaged)


def _checked(drafts: Optimizations, spec: ModelSpec | None, mistakes: Mistakes) -> Profile:
    drafts = fitted(drafts, spec, mistakes) if spec else drafts
    optimizations = ranges(drafts, mistakes)
    mistakes.refuse()
    return Profile(mistakes.profile, optimizations)
