"""What a rule says, and what it found."""

from enum import Enum

import onnx_graphsurgeon as gs
from attrs import frozen

from polyyolo.quantization.lint.pairs import Pair


class Severity(str, Enum):
    """What a finding means for the engine.

    ERROR: TensorRT refuses the model, or what comes out is wrong.
    WARNING: slower or less accurate than it could be.
    INFO: good to know.
    """

    ERROR = "error"
    WARNING = "warning"
    INFO = "info"


@frozen
class Rule:
    """One of TensorRT's, or one that measurements taught.

    Attributes:
        name: in kebab case, for people and scripts.
        message: what is wrong, in one sentence.
        cost: what it costs, measured where a measurement is known.
        fix: what to do about it.
    """

    name: str
    severity: Severity
    message: str
    cost: str
    fix: str


@frozen
class Finding:
    """One place that breaks a rule.

    Attributes:
        names: the nodes or tensors.
        detail: the values there.
        mendable: whether ``mend`` can put it right.
    """

    rule: Rule
    names: tuple[str, ...]
    detail: str = ""
    mendable: bool = False


@frozen(eq=False)
class Spot:
    """The same place, as whoever mends it needs it.

    Attributes:
        pairs: the pairs that are wrong.
        readers: the nodes that should not read them; for a weight, the node that it belongs to.
        mendable: whether the numbers that mending needs are there, besides the float values of the pairs.
    """

    names: tuple[str, ...]
    detail: str = ""
    pairs: tuple[Pair, ...] = ()
    readers: tuple[gs.Node, ...] = ()
    mendable: bool = True

    @property
    def can_be_mended(self) -> bool:
        """Whether all is there that mending needs."""
        return self.mendable and all(pair.is_removable for pair in self.pairs)
