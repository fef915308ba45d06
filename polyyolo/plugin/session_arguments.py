"""What ``--onnxrt`` of ``polygraphy run`` opens where one of our options is used."""

import argparse
from typing import Any

from polygraphy.tools.args import ModelArgs, OnnxLoadArgs, OnnxrtSessionArgs
from polygraphy.tools.args.base import BaseArgs
from polygraphy.tools.script import make_invocable


class YoloSessionArgs(BaseArgs):  # type: ignore[misc]  # Polygraphy is untyped
    """
    YOLO sessions: ONNX Runtime that computes what the graph says.

    It has no options of its own: where pictures are fed or boxes are compared, Polygraphy's group is told to put our
    session into the script, by the method that is there to be overridden.

    Depends on:

        - ModelArgs
        - OnnxLoadArgs
        - OnnxrtSessionArgs
    """  # noqa: D212 - Polygraphy reads its first line

    def parse_impl(self, args: argparse.Namespace) -> None:
        """Take the place of Polygraphy's session where --yolo-images or --yolo-compare is given."""
        if args.yolo_images is not None or args.yolo_compare is not None:
            self.arg_groups[OnnxrtSessionArgs].add_to_script_impl = self.add_to_script_impl

    def add_to_script_impl(self, script: Any, onnx_name: object = None) -> Any:  # noqa: ANN401 - Polygraphy is untyped
        """Put the session into the script, with Polygraphy's own options for it."""
        script.add_import(imports=["SessionAsWritten"], frm="polyyolo.plugin.session")
        asked = self.arg_groups[OnnxrtSessionArgs]
        made = make_invocable(
            "SessionAsWritten",
            self._model(script) if onnx_name is None else onnx_name,
            providers=asked.providers,
            # Earlier releases of Polygraphy have no --graph-optimization-level.
            graph_optimization_level=getattr(asked, "graph_optimization_level", None),
        )
        return script.add_loader(made, "open_session")

    def _model(self, script: Any) -> Any:  # noqa: ANN401 - Polygraphy is untyped
        """Name the model's file, or what changes the model first (--onnx-outputs and the like)."""
        loader = self.arg_groups[OnnxLoadArgs]
        if loader.must_use_onnx_loader():
            return loader.add_to_script(script, serialize_model=True)
        return self.arg_groups[ModelArgs].path
