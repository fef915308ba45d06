"""Strip, keep or set what a model says of itself."""

from collections.abc import Mapping, Sequence

import onnx

from polyyolo.errors import InputError
from polyyolo.models.metadata import metadata_of, with_metadata
from polyyolo.passes.result import PassResult

NO_ENTRIES: Mapping[str, str] = {}


def run(
    model: onnx.ModelProto,
    *,
    strip: bool = False,
    keep: Sequence[str] = (),
    entries: Mapping[str, str] = NO_ENTRIES,
) -> PassResult:
    """Change the metadata; the graph stays as it is.

    Args:
        model: as ``models.spec.load`` gives it.
        strip: remove all metadata but ``keep``, and the texts that exporters leave for people.
        keep: keys that survive ``strip``.
        entries: keys to add or replace.

    Raises:
        InputError: a key to keep that is not there, or nothing to keep it from.
    """
    if keep and not strip:
        raise InputError("nothing is removed that keys could be kept from", fix="add --strip, or leave --keep out")
    before = metadata_of(model)
    for key in keep:
        if key not in before:
            raise InputError(f"the metadata has no {key!r}", fix=f"its keys are: {', '.join(before) or 'none'}")
    stays = {key: value for key, value in before.items() if not strip or key in keep}
    changed = with_metadata(model, {**stays, **entries})
    if strip:
        _strip_texts(changed)
    return PassResult(changed, changed=changed.SerializeToString() != model.SerializeToString())


def _strip_texts(model: onnx.ModelProto) -> None:
    model.doc_string = ""
    model.graph.doc_string = ""
    for node in model.graph.node:
        node.doc_string = ""
