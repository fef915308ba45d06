"""The option ``--yolo-trtexec`` of ``polygraphy run``."""

import argparse
from collections.abc import Iterator
from typing import Any

from polygraphy.logger import G_LOGGER
from polygraphy.tools.args import ModelArgs, TrtConfigArgs, TrtSaveEngineBytesArgs
from polygraphy.tools.args.base import BaseRunnerArgs
from polygraphy.tools.script import make_invocable

from polyyolo.plugin.compare_arguments import YoloCompareArgs

HANDLED = {
    *("tf32", "fp16", "int8", "calibration_cache", "load_timing_cache", "save_engine"),
    *("trt_min_shapes", "trt_opt_shapes", "trt_max_shapes"),
}
"""Options of Polygraphy's TensorRT that have a place of their own in ``trtexec_engine.Build``."""
TENSORRT = "polygraphy.tools.args.backend.trt."
"""Where Polygraphy keeps its options of TensorRT."""


class YoloTrtexecArgs(BaseRunnerArgs):  # type: ignore[misc]  # Polygraphy is untyped
    """
    YOLO with trtexec: building and running engines by trtexec, of TensorRT 8.5 to 11.

    Depends on:

        - ModelArgs
        - TrtConfigArgs
        - TrtSaveEngineBytesArgs
        - YoloCompareArgs
    """  # noqa: D212 - Polygraphy makes the heading of --help from the first line

    def get_name_opt_impl(self) -> tuple[str, str]:
        """Name the runner, and the option that chooses it."""
        return "trtexec", "yolo-trtexec"

    def get_extra_help_text_impl(self) -> str:
        """Say what of Polygraphy's options it knows."""
        return (
            "It takes TensorRT's options that trtexec has, as --fp16, --int8, --tf32, --calibration-cache and "
            "--builder-optimization-level, warns of the others, and starts trtexec once an inference."
        )

    def parse_impl(self, args: argparse.Namespace) -> None:
        """Remember what TensorRT is told.

        Attributes:
            told: name of an option in Python -> how it is spelled, and its value; those that were given alone.
        """
        self.told = {
            action.dest: (action.option_strings[-1], getattr(args, action.dest))
            for action in self._actions()
            if getattr(args, action.dest, action.default) != action.default
        }

    def _actions(self) -> Iterator[argparse.Action]:
        """Yield Polygraphy's options of TensorRT, of whichever release of Polygraphy."""
        for group in self.arg_groups.values():
            if group.group and type(group).__module__.startswith(TENSORRT):
                yield from group.group._group_actions  # noqa: SLF001 - argparse has no public way

    def add_to_script_impl(self, script: Any) -> None:  # noqa: ANN401 - Polygraphy is untyped
        """Put the runner into the script."""
        model, config = self.arg_groups[ModelArgs], self.arg_groups[TrtConfigArgs]
        script.add_import(imports=["Build", "TrtexecRunner"], frm="polyyolo.plugin.trtexec")
        profiles = [
            {name: tuple(tuple(shape) for shape in bounds) for name, bounds in inputs.items()}
            for inputs in config.profile_dicts
        ]
        build = make_invocable(
            "Build",
            tf32=config.tf32 or None,
            fp16=config.fp16 or None,
            int8=config.int8 or None,
            profiles=profiles or None,
            calibration_cache=config.calibration_cache,
            timing_cache=config.load_timing_cache,
            save_engine=self.arg_groups[TrtSaveEngineBytesArgs].path,
            options=self._options() or None,
        )
        shapes = {name: tuple(shape) for name, (_, shape) in model.input_shapes.items()}
        script.add_runner(
            make_invocable(
                "TrtexecRunner",
                model.path,
                build,
                onnx=self.arg_groups[YoloCompareArgs].onnx,
                input_shapes=shapes or None,
            )
        )

    def _options(self) -> dict[str, Any]:
        """Choose what trtexec may be told, and warn of the rest."""
        from polyyolo.plugin.trtexec_words import SPELLINGS

        unknown = [spelt for name, (spelt, _) in self.told.items() if name not in {*HANDLED, *SPELLINGS}]
        if unknown:
            G_LOGGER.warning(f"polyyolo: --yolo-trtexec does not know {', '.join(unknown)}, and goes on without")
        return {name: value for name, (_, value) in self.told.items() if name in SPELLINGS}
