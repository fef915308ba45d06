"""The option ``--yolo-images`` of ``polygraphy run``."""

import argparse
from typing import Any

from polygraphy.tools.args import DataLoaderArgs, ModelArgs
from polygraphy.tools.args.base import BaseArgs
from polygraphy.tools.script import make_invocable

from polyyolo.plugin.compare_arguments import YoloCompareArgs
from polyyolo.plugin.values import above_zero, refuse


class YoloImagesArgs(BaseArgs):  # type: ignore[misc]  # Polygraphy is untyped
    """
    YOLO pictures: pictures as input instead of random numbers.

    Polygraphy has a place for runners of others, but none for data loaders: its own group is told to put ours into the
    script, by the method that is there to be overridden.

    Depends on:

        - ModelArgs
        - DataLoaderArgs
        - YoloCompareArgs
    """  # noqa: D212 - Polygraphy makes the heading of --help from the first line

    def add_parser_args_impl(self) -> None:
        """Add the options."""
        self.group.add_argument(
            "--yolo-images",
            metavar="PATH",
            help="Feed pictures as YOLO models want them: a folder, a picture, a .txt list, a data.yaml or an .npy "
            "(N, C, H, W). Open axes take --input-shapes; other settings are those of polyyolo/loader.py (POLYYOLO_*)",
        )
        self.group.add_argument(
            "--yolo-count",
            metavar="N",
            type=above_zero,
            help="How many pictures of --yolo-images, chosen with --seed. Defaults to 300",
        )

    def parse_impl(self, args: argparse.Namespace) -> None:
        """Read the options, refuse what cannot be meant, and take the data loader's place.

        Attributes:
            images: what to feed, or None.
            settings: of the loader, by name.
        """
        self.images: str | None = args.yolo_images
        self.settings = self._settings(args)
        if self.images is None:
            if args.yolo_count is not None:
                refuse("--yolo-count counts the pictures of --yolo-images, which is not there", "give --yolo-images")
            return
        if not self.images:
            refuse("--yolo-images names nothing", "name a folder, a picture, a .txt list, a data.yaml or an .npy")
        self._refuse_other_inputs()
        loader = self.arg_groups[DataLoaderArgs]
        loader.add_to_script_impl = self.add_to_script_impl
        loader.is_using_random_data = self.feeds_random_numbers

    def add_to_script_impl(self, script: Any, user_input_metadata_str: object = None) -> Any:  # noqa: ANN401, ARG002 - Polygraphy's signature
        """Put pictures into the script, in the place of random numbers."""
        script.add_import(imports=["pictures"], frm="polyyolo.plugin.pictures")
        return script.set_data_loader(make_invocable("pictures", self.images, model=self._model(), **self.settings))

    def feeds_random_numbers(self) -> bool:
        """Answer Polygraphy's question."""
        return False

    def _model(self) -> str | None:
        """Name the ONNX that tells the family, where there is one."""
        told: str | None = self.arg_groups[YoloCompareArgs].onnx or self.arg_groups[ModelArgs].path
        return told if told and told.endswith(".onnx") else None

    def _settings(self, args: argparse.Namespace) -> dict[str, str]:
        """Name what Polygraphy's own options say of pictures: shapes of the input, and the seed."""
        shapes = [tuple(shape) for _, shape in self.arg_groups[ModelArgs].input_shapes.values()]
        batch, _, *sides = shapes[0] if len(shapes) == 1 and len(shapes[0]) == 4 else (None, None)
        told = {
            "count": args.yolo_count,
            "seed": self.arg_groups[DataLoaderArgs].seed,
            "batch": batch if _is_told(batch) else None,
            "size": "x".join(map(str, sides)) if sides and all(map(_is_told, sides)) else None,
        }
        return {name: str(value) for name, value in told.items() if value is not None}

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
            refuse(
                f"--yolo-images says what is fed, and {', '.join(given)} too",
                "leave one out; --yolo-count says how many pictures",
            )


def _is_told(dim: object) -> bool:
    """Whether a dimension is a number: Polygraphy takes -1 and names for one that stays open."""
    return isinstance(dim, int) and dim > 0
