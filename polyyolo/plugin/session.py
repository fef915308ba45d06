"""ONNX Runtime for ``polygraphy run --onnxrt``, opened as everywhere in polyyolo."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import onnxruntime
from polygraphy import util

from polyyolo.models.runtime import as_written, load_session
from polyyolo.plugin.values import refuse
from polyyolo.telling import told


class SessionAsWritten:
    """A loader of Polygraphy's: called, it opens a session that computes what the graph says.

    Polygraphy's own lets ONNX Runtime make integer kernels of Q/DQ nodes. These saturate on processors without VNNI,
    where INT8 then loses boxes that no engine would lose.
    """

    def __init__(
        self,
        model: str | bytes | Callable[[], str | bytes],
        providers: Sequence[str] = ("cpu",),
        graph_optimization_level: str = "ORT_ENABLE_ALL",
    ) -> None:
        """Remember what to open.

        Args:
            model: an .onnx file, a serialized model, or a loader of either.
            providers: execution providers, the first one preferred; parts of their names in any case will do.
            graph_optimization_level: as ONNX Runtime calls it.
        """
        self._model = model
        self._providers = providers
        self._level = graph_optimization_level

    def __call__(self) -> onnxruntime.InferenceSession:
        """Open the session.

        Raises:
            PolygraphyException: ONNX Runtime has no such provider or level, or cannot load the model.
        """
        model, _ = util.invoke_if_callable(self._model)
        options = as_written()
        options.graph_optimization_level = self._chosen_level()
        providers = [_provider(name) for name in self._providers]
        with told():
            return load_session(Path(model) if isinstance(model, str) else model, options, providers)

    def _chosen_level(self) -> Any:  # noqa: ANN401 - ONNX Runtime is untyped
        levels = onnxruntime.GraphOptimizationLevel.__members__
        if self._level not in levels:
            refuse(
                f"ONNX Runtime has no optimization level {self._level}",
                f"give --graph-optimization-level {', '.join(levels)}",
            )
        return levels[self._level]


def _provider(name: str) -> Any:  # noqa: ANN401 - as Polygraphy finds it
    available = onnxruntime.get_available_providers()
    found = util.find_str_in_iterable(name, available)
    if found is None:
        refuse(f"ONNX Runtime has no execution provider {name} here", f"give --providers {', '.join(available)}")
    return found
