"""The options ``--yolo-images`` and ``--yolo-compare`` of ``polygraphy run``."""

import argparse
from typing import Any

from polygraphy.logger import G_LOGGER
from polygraphy.tools.args import (
    ComparatorCompareArgs,
    CompareFuncSimpleArgs,
    DataLoaderArgs,
    ModelArgs,
    RunnerSelectArgs,
)
from polygraphy.tools.args.base import BaseArgs
from polygraphy.tools.script import make_invocable


class YoloArgs(BaseArgs):  # type: ignore[misc]  # Polygraphy is untyped
    """
    YOLO: pictures as input, and comparison by boxes instead of numbers.

    Polygraphy has a place for runners of others, but none for data loaders and comparisons: those groups are told to
    put ours into the script, each by the method that Polygraphy means to be overridden.

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
            "--yolo-images",
            metavar="PATH",
            help="Feed pictures as YOLO models want them: a folder, a picture, a .txt list, a data.yaml or an .npy "
            "(N, C, H, W). Open axes take --input-shapes; other settings are those of polyyolo/loader.py (POLYYOLO_*)",
        )
        add(
            "--yolo-count",
            metavar="N",
            type=_above_zero,
            help="How many pictures of --yolo-images, chosen with --seed. Defaults to 300",
        )
        add(
            "--yolo-compare",
            metavar="IOU",
            nargs="?",
            type=_share,
            const=STRICT,
            help="Compare boxes instead of numbers: two of a class that overlap by at least IOU are the same. "
            "Defaults to 0.9",
        )
        add(
            "--yolo-min-agreement",
            metavar="F1",
            type=_share,
            help="F1 of the boxes of all pictures that --yolo-compare wants. Defaults to 0.9",
        )
        add(
            "--yolo-model",
            metavar="ONNX",
            help="The ONNX that tells --yolo-compare and --yolo-trtexec about an engine's inputs and boxes. "
            "Defaults to the model itself",
        )

    def parse_impl(self, args: argparse.Namespace) -> None:
        """Read the options, refuse what cannot be meant, and take the places of Polygraphy's own groups.

        Attributes:
            images: what to feed, or None.
            settings: of the loader, by name.
            compares: whether boxes are compared.
            iou: least overlap, or None for the default.
            least: F1 wanted, or None for the default.
            onnx: what --yolo-model names, or None.
        """
        self.images: str | None = args.yolo_images
        self.compares: bool = args.yolo_compare is not None
        self.iou: float | None = None if args.yolo_compare is STRICT else args.yolo_compare
        self.least: float | None = args.yolo_min_agreement
        self.onnx: str | None = args.yolo_model
        self.settings = self._settings(args)
        if self.images is not None:
            self._refuse_other_inputs()
            self._feed_pictures()
        if self.compares:
            self._refuse_what_cannot_be_compared()
            self.arg_groups[CompareFuncSimpleArgs].add_to_script_impl = self.add_comparison
        for given, needs, name in (
            (args.yolo_count, self.images, "--yolo-count needs --yolo-images"),
            (self.least, self.compares or None, "--yolo-min-agreement needs --yolo-compare"),
        ):
            if given is not None and needs is None:
                _refuse(name, "give both, or neither")

    def add_pictures(self, script: Any, user_input_metadata_str: object = None) -> Any:  # noqa: ANN401, ARG002
        """Put pictures into the script, in the place of random numbers."""
        script.add_import(imports=["pictures"], frm="polyyolo.plugin.pictures")
        return script.set_data_loader(make_invocable("pictures", self.images, **self.settings))

    def feeds_random_numbers(self) -> bool:
        """Answer Polygraphy's question."""
        return False

    def add_comparison(self, script: Any) -> Any:  # noqa: ANN401 - Polygraphy is untyped
        """Put the comparison into the script, in the place of ``simple``."""
        script.add_import(imports=["BoxCompareFunc"], frm="polyyolo.plugin.boxes")
        made = make_invocable("BoxCompareFunc", self._reads_boxes(), iou=self.iou, least=self.least)
        return script.add_loader(made, "compare_boxes")

    def _settings(self, args: argparse.Namespace) -> dict[str, str]:
        """Name what Polygraphy's own options say of pictures: shapes of the input, and the seed."""
        shapes = [tuple(shape) for _, shape in self.arg_groups[ModelArgs].input_shapes.values()]
        known = shapes[0] if len(shapes) == 1 and len(shapes[0]) == 4 else ()
        told = {
            "count": args.yolo_count,
            "seed": self.arg_groups[DataLoaderArgs].seed,
            "batch": known[0] if known else None,
            "size": f"{known[2]}x{known[3]}" if known else None,
        }
        return {name: str(value) for name, value in told.items() if value is not None}

    def _feed_pictures(self) -> None:
        loader = self.arg_groups[DataLoaderArgs]
        loader.add_to_script_impl = self.add_pictures
        loader.is_using_random_data = self.feeds_random_numbers

    def _refuse_other_inputs(self) -> None:
        loader = self.arg_groups[DataLoaderArgs]
        others = {
            "--data-loader-script": loader.data_loader_script,
            "--load-inputs": loader.load_inputs_paths,
            "--iterations": loader.iterations,
            "--val-range": loader.val_range,
        }
        given = [option for option, value in others.items() if value]
        if given:
            _refuse(
                f"--yolo-images says what is fed, and {', '.join(given)} too",
                "leave one out; --yolo-count says how many pictures",
            )

    def _refuse_what_cannot_be_compared(self) -> None:
        compare = self.arg_groups[ComparatorCompareArgs]
        runners, loaded = len(self.arg_groups[RunnerSelectArgs].runners), len(compare.load_outputs_paths)
        if runners + loaded < 2:
            _refuse(
                "--yolo-compare has nothing to compare with: there is one runner, and no outputs of another",
                "add a runner, or --load-outputs of a run with --save-outputs",
            )
        if runners and self.images is None and self.arg_groups[DataLoaderArgs].is_using_random_data():
            _refuse("--yolo-compare has no pictures: there are no boxes in random numbers", "give --yolo-images PATH")
        if _chosen(compare) != "simple" or compare.compare_func_script:
            _refuse("--yolo-compare takes the place of --compare and --compare-func-script", "leave one of them out")
        if compare.fail_fast or getattr(compare, "check_average", None):
            _refuse(
                "--yolo-compare judges all pictures together, so that --fail-fast and --check-average mean nothing",
                "leave them out",
            )
        if getattr(compare, "save_accuracy_results_path", None):
            _refuse(
                "--save-accuracy-results has no form for boxes", "leave it out; polyyolo verify --json writes figures"
            )
        told = self._reads_boxes()
        if told is None or not told.endswith(".onnx"):
            _refuse(f"{told or 'no model'} does not tell how boxes are read", "name an ONNX with --yolo-model")

    def _reads_boxes(self) -> str | None:
        named: str | None = self.onnx or self.arg_groups[ModelArgs].path
        return named


STRICT = object()
"""--yolo-compare without a number."""


def _chosen(compare: Any) -> str:  # noqa: ANN401 - Polygraphy is untyped
    """Name the comparison that was chosen; since Polygraphy 0.50 there may be several."""
    chosen = getattr(compare, "compare_funcs", None) or [compare.compare_func]
    return " ".join(chosen)


def _refuse(message: str, fix: str) -> None:
    G_LOGGER.critical(f"polyyolo: {message}\nfix: {fix}")


def _share(text: str) -> float:
    value = float(text)
    if not 0 < value <= 1:
        raise argparse.ArgumentTypeError(f"{text} is not above 0 and at most 1")
    return value


def _above_zero(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"{text} is not above 0")
    return value
