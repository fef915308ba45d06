"""The step that sees two models side by side, on the pictures that a run keeps to compare on."""

from attrs import evolve

from polyyolo.decisions import Decisions
from polyyolo.picture_sets import digest_of, refuse_changed_pictures
from polyyolo.records import Fidelity, ModelSpec, Toolchain
from polyyolo.verification.compare import side_by_side
from polyyolo.verification.shown import draw_shown
from polyyolo.workspace import Workspace

PICTURES = "pictures"


def compare(  # noqa: PLR0913 - two models, and how the run has them
    space: Workspace,
    step: str,
    decisions: Decisions,
    reference: ModelSpec,
    candidate: ModelSpec,
    *,
    titles: tuple[str, str] | None = None,
    toolchain: Toolchain | None = None,
) -> Fidelity:
    """See both on the same pictures, or take what is still valid from before.

    Args:
        space: the run's.
        step: its name.
        decisions: with the pictures and their labels; there must be some.
        reference: what the other was made of.
        candidate: an ONNX or an engine.
        titles: of both in side-by-side pictures of where they disagree; None draws none.
        toolchain: that runs an engine; with another it is seen again.

    Raises:
        ModelError: a model does not run.
        PictureError: a picture changed meanwhile.
    """
    pictures = decisions.compared_on
    digest = digest_of(pictures, decisions.labelled)

    def make() -> Fidelity:
        found = side_by_side(
            reference,
            candidate,
            decisions.preprocessing,
            pictures=decisions.held,
            labelled=decisions.labelled,
            held_out=decisions.held_out,
        )
        refuse_changed_pictures(pictures, decisions.labelled, digest)
        if titles is None:
            return found.fidelity
        shown = draw_shown(found.pairs, decisions.spec.names, space.path(PICTURES), titles=titles)
        return evolve(found.fidelity, shown=shown)

    inputs = {
        "reference": reference.sha256,
        "candidate": candidate.sha256,
        "head": reference.head,
        "preprocessing": decisions.preprocessing,
        "pictures": digest,
        "held_out": decisions.held_out,
        "toolchain": toolchain,
    }
    return space.step(step, inputs, [PICTURES] if titles else [], make, Fidelity)
