"""Class names: from a .names file beside the cfg, or COCO's where there are 80 classes and no file."""

from collections.abc import Sequence
from pathlib import Path

from polyyolo import progress
from polyyolo.errors import ModelError

# The 80 classes of the COCO detection challenge, in the order that darknet's and Ultralytics' models have them.
COCO = (  # noqa: SIM905 - eighty lines would hide what it is
    "person,bicycle,car,motorcycle,airplane,bus,train,truck,boat,traffic light,fire hydrant,stop sign,parking meter,"
    "bench,bird,cat,dog,horse,sheep,cow,elephant,bear,zebra,giraffe,backpack,umbrella,handbag,tie,suitcase,frisbee,"
    "skis,snowboard,sports ball,kite,baseball bat,baseball glove,skateboard,surfboard,tennis racket,bottle,wine glass,"
    "cup,fork,knife,spoon,bowl,banana,apple,sandwich,orange,broccoli,carrot,hot dog,pizza,donut,cake,chair,couch,"
    "potted plant,bed,dining table,toilet,tv,laptop,mouse,remote,keyboard,cell phone,microwave,oven,toaster,sink,"
    "refrigerator,book,clock,vase,scissors,teddy bear,hair drier,toothbrush"
).split(",")


def class_names(cfg: Path, classes: int, given: Sequence[str] | None = None) -> tuple[str, ...]:
    """Find the names of the classes.

    Looked for beside the cfg: ``<cfg stem>.names``, ``obj.names``, ``coco.names``; the first with the right count is
    used. Without one, 80 classes are taken for COCO's (and that is said), others stay without names.

    Args:
        cfg: the file that the names belong to.
        classes: how many names there must be.
        given: names that the caller has; their number must be ``classes``.

    Raises:
        ModelError: ``given`` or ``<cfg stem>.names`` has another count.
    """
    if given is not None:
        return _counted(tuple(given), classes, "the names given")
    for file in (cfg.with_suffix(".names"), cfg.with_name("obj.names"), cfg.with_name("coco.names")):
        if not file.is_file():
            continue
        names = tuple(line.strip() for line in file.read_text("utf-8", errors="replace").splitlines() if line.strip())
        if file.stem == cfg.stem:
            return _counted(names, classes, str(file))
        if len(names) == classes:
            progress.note(f"class names come from {file}")
            return names
    if classes == len(COCO):
        progress.note(f"no .names file beside {cfg.name}: its 80 classes are taken for COCO's")
        return tuple(COCO)
    progress.warn(f"no .names file beside {cfg.name}", fix=f"put the {classes} names into {cfg.with_suffix('.names')}")
    return ()


def _counted(names: tuple[str, ...], classes: int, source: str) -> tuple[str, ...]:
    if len(names) != classes:
        raise ModelError(
            f"{source}: {len(names)} class names for {classes} classes", fix="give one name for each class, in order"
        )
    return names
