"""What trtexec's users are used to type, in polyyolo's terms."""

import shlex
from collections.abc import Mapping, Sequence

from attrs import field, frozen

from polyyolo import progress
from polyyolo.engines.trtexec_shapes import read_shapes
from polyyolo.errors import InputError, ProfileError
from polyyolo.models.own_size import own_shape
from polyyolo.records import ModelSpec, Precision, Profile, ShapeRange

IDLE = {
    "explicit_batch": "--explicitBatch: every ONNX has its batch among its axes since TensorRT 8; nothing to do",
    "build_only": "--buildOnly: a build never runs the engine",
    "skip_inference": "--skipInference: a build never runs the engine",
}


@frozen
class Spelt:
    """Options in trtexec's spelling; None or False where one was not given.

    Attributes:
        batch: pictures of one query.
        shapes: "min", "opt" and "max" -> text as "images:1x3x640x640".
        idle: names of options that need nothing done.
    """

    best: bool = False
    fp16: bool = False
    int8: bool = False
    batch: int | None = None
    shapes: Mapping[str, str | None] = field(factory=dict)
    idle: Sequence[str] = ()


def precision(spelt: Spelt, asked: Precision | None, *, scaled: bool) -> Precision | None:
    """Give the precision that the flags stand for, with a note; what was asked for where there is no flag.

    Args:
        spelt: the flags.
        asked: by --precision.
        scaled: whether there are scales for INT8.

    Raises:
        InputError: the flags and --precision say different things.
    """
    for name in spelt.idle:
        progress.note(IDLE[name])
    flags = [name for name in ("best", "int8", "fp16") if getattr(spelt, name)]
    if not flags:
        return asked
    meant = Precision.INT8 if spelt.int8 or (spelt.best and scaled) else Precision.FP16
    told = " ".join(f"--{flag}" for flag in flags)
    if asked not in (None, meant):
        raise InputError(f"{told} means --precision {meant.value}, but --precision {asked.value} was given too",
                         fix="give one of them")  # fmt: skip
    if spelt.best and meant is Precision.FP16:
        progress.note(
            "--best is taken as --precision fp16: there are no scales for INT8, and trtexec would make some up"
        )
    else:
        beside = ", with FP16 for the rest" if meant is Precision.INT8 else ""
        progress.note(f"{told} is taken as --precision {meant.value}{beside}")
    return meant


def profile(spelt: Spelt, spec: ModelSpec) -> Profile | None:
    """Give the profile that --batch or the --minShapes family stands for; None where the model's own will do.

    Raises:
        ProfileError: shapes that cannot be read, or a batch that the model does not take.
    """
    given = {bound: text for bound, text in spelt.shapes.items() if text is not None}
    if given and spelt.batch:
        raise ProfileError("--batch and shapes were given", fix="put the batch into the shapes")
    if given:
        return _shaped(given)
    return _batched(spec, spelt.batch) if spelt.batch else None


def _batched(spec: ModelSpec, batch: int) -> Profile | None:
    fixed = spec.image_input.dims[0]
    if isinstance(fixed, int):
        if fixed != batch:
            raise ProfileError(
                f"--batch={batch}, but {spec.path} takes {fixed} at a time",
                fix=f"change the model: polyyolo surgeon shape {shlex.quote(str(spec.path))} NEW.onnx --batch {batch}",
            )
        progress.note(f"--batch={batch}: the model is made for it")
        return None
    progress.note(f"--batch={batch} is taken as the only batch that {spec.image} accepts")
    shape = (batch, *own_shape(spec)[1:])
    return Profile(f"batch-{batch}", ({spec.image: ShapeRange(shape, shape, shape)},))


def _shaped(given: Mapping[str, str]) -> Profile:
    """Read shapes as trtexec does: --optShapes alone stands for all three."""
    if "opt" not in given:
        raise ProfileError(
            "--optShapes is missing", fix="give --minShapes, --optShapes and --maxShapes, or --optShapes"
        )
    if len(given) == 2:
        raise ProfileError("one of --minShapes and --maxShapes is missing", fix="give all three, or --optShapes alone")
    read = {bound: _shapes(bound, text) for bound, text in given.items()}
    opt = read["opt"]
    low, high = read.get("min", opt), read.get("max", opt)
    if not low.keys() == opt.keys() == high.keys():
        raise ProfileError(
            "--minShapes, --optShapes and --maxShapes name different inputs", fix="name the same in each"
        )
    return Profile("as typed", ({name: ShapeRange(low[name], opt[name], high[name]) for name in opt},))


def _shapes(bound: str, text: str) -> dict[str, tuple[int, ...]]:
    try:
        pairs = read_shapes(text)
    except ValueError:
        pairs = (("", ()),)
    found = dict(pairs)
    if "" in found:
        raise ProfileError(
            f"--{bound}Shapes={text} cannot be read", fix="write it as images:1x3x640x640, inputs apart by commas"
        )
    if len(found) < len(pairs):
        raise ProfileError(f"--{bound}Shapes={text} names an input twice", fix="give each input one shape")
    return found
