"""The option ``--yolo-compare`` of ``polygraphy run``."""

import argparse
from pathlib import Path
from typing import Any

from polygraphy.tools.args import (
    ComparatorCompareArgs,
    CompareFuncSimpleArgs,
    DataLoaderArgs,
    ModelArgs,
    RunnerSelectArgs,
)
from polygraphy.tools.args.base import BaseArgs
from polygraphy.tools.script import make_invocable

from polyyolo.plugin.values import refuse, share

STRICT = object()
"""--yolo-compare without a number."""
OF_NUMBERS = (
    *("rtol", "atol", "check_error_stat", "error_quantile", "infinities_compare_equal"),
    *("save_heatmaps", "show_heatmaps", "save_error_metrics_plot", "show_error_metrics_plot"),
)
"""Polygraphy's options of how numbers are compared."""


class YoloCompareArgs(BaseArgs):  # type: ignore[misc]  # Polygraphy is untyped
    """
    YOLO boxes: comparison by boxes instead of numbers.

    Polygraphy has no place for comparisons of others: the group of its default one is told to put ours into the
    script, by the method that is there to be overridden.

    Depends on:

        - ModelArgs
        - RunnerSelectArgs
        - DataLoaderArgs
        - ComparatorCompareArgs
        - CompareFuncSimpleArgs
    """  # noqa: D212 - Polygraphy makes the heading of --help from the first line

    def add_parser_args_impl(self) -> None:
        """Add the options."""
        add = self.group.add_argument
        add(
            "--yolo-compare",
            metavar="IOU",
            nargs="?",
            type=share,
            const=STRICT,
            help="Compare boxes instead of numbers: two of a class that overlap by at least IOU are the same. "
            "Defaults to 0.9",
        )
        add(
            "--yolo-min-agreement",
            metavar="F1",
            type=share,
            help="F1 of the boxes of all pictures that --yolo-compare wants. Defaults to 0.9",
        )
        add(
            "--yolo-model",
            metavar="ONNX",
            help="The ONNX that tells about an engine's boxes, inputs and pictures. Defaults to the model itself",
        )

    def parse_impl(self, args: argparse.Namespace) -> None:
        """Read the options, refuse what cannot be meant, and take the place of the default comparison.

        Attributes:
            iou: least overlap, or None for the default.
            least: F1 wanted, or None for the default.
            onnx: what --yolo-model names, or None.
        """
        self.iou: float | None = None if args.yolo_compare is STRICT else args.yolo_compare
        self.least: float | None = args.yolo_min_agreement
        self.onnx: str | None = args.yolo_model
        if self.onnx is not None and self.onnx.endswith(".onnx") and not Path(self.onnx).is_file():
            refuse(f"--yolo-model names no file: {self.onnx}", "name the ONNX that tells how boxes are read")
        if args.yolo_compare is None:
            if self.least is not None:
                refuse("--yolo-min-agreement is the limit of --yolo-compare, which is not there", "give --yolo-compare")
            return
        self._refuse_one_side()
        self._refuse_no_boxes()
        self._refuse_other_comparisons()
        _refuse_comparing_numbers(args)
        self.arg_groups[CompareFuncSimpleArgs].add_to_script_impl = self.add_to_script_impl

    def add_to_script_impl(self, script: Any) -> Any:  # noqa: ANN401 - Polygraphy is untyped
        """Put the comparison into the script, in the place of ``simple``."""
        script.add_import(imports=["BoxCompareFunc"], frm="polyyolo.plugin.boxes")
        made = make_invocable("BoxCompareFunc", self._reads_boxes(), iou=self.iou, least=self.least)
        return script.add_loader(made, "compare_boxes")

    def _reads_boxes(self) -> str | None:
        named: str | None = self.onnx or self.arg_groups[ModelArgs].path
        return named

    def _refuse_one_side(self) -> None:
        compare = self.arg_groups[ComparatorCompareArgs]
        if len(self.arg_groups[RunnerSelectArgs].runners) + len(compare.load_outputs_paths) < 2:
            refuse(
                "--yolo-compare has nothing to compare with: there is one runner, and no outputs of another",
                "add a runner, or --load-outputs of a run with --save-outputs",
            )

    def _refuse_no_boxes(self) -> None:
        runs = len(self.arg_groups[RunnerSelectArgs].runners)
        if runs and self.arg_groups[DataLoaderArgs].is_using_random_data():
            refuse("--yolo-compare has no pictures: there are no boxes in random numbers", "give --yolo-images PATH")
        told = self._reads_boxes()
        if told is None or not told.endswith(".onnx"):
            what = "there is no model that tells" if told is None else f"{told} does not tell"
            refuse(f"{what} how boxes are read", "name an ONNX with --yolo-model")

    def _refuse_other_comparisons(self) -> None:
        compare = self.arg_groups[ComparatorCompareArgs]
        # Polygraphy 0.50 made one comparison into several, and brought --check-average and --save-accuracy-results.
        chosen = getattr(compare, "compare_funcs", None) or [compare.compare_func]
        if chosen != ["simple"] or compare.compare_func_script:
            refuse("--yolo-compare takes the place of --compare and --compare-func-script", "leave one of them out")
        if compare.fail_fast or getattr(compare, "check_average", None):
            refuse(
                "--yolo-compare judges all pictures together, so that --fail-fast and --check-average mean nothing",
                "leave them out",
            )
        if getattr(compare, "save_accuracy_results_path", None):
            refuse(
                "--save-accuracy-results has no form for boxes", "leave it out; polyyolo verify --json writes figures"
            )


def _refuse_comparing_numbers(args: argparse.Namespace) -> None:
    given = [f"--{name.replace('_', '-')}" for name in OF_NUMBERS if getattr(args, name, None)]
    if given:
        refuse(
            f"--yolo-compare compares boxes instead of numbers, so that {', '.join(given)} would have no effect",
            "leave one of them out; --yolo-compare IOU and --yolo-min-agreement say how much boxes may differ",
        )
