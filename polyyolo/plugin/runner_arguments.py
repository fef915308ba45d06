"""The option ``--yolo-trtexec`` of ``polygraphy run``."""

from typing import Any

from polygraphy.tools.args import ModelArgs, TrtConfigArgs, TrtSaveEngineBytesArgs
from polygraphy.tools.args.base import BaseRunnerArgs
from polygraphy.tools.script import make_invocable

from polyyolo.plugin.compare_arguments import YoloCompareArgs


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
            "It takes --fp16, --int8, --calibration-cache, --trt-min-shapes and the like, --load-timing-cache and "
            "--save-engine, and starts trtexec once an inference."
        )

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
            fp16=config.fp16 or None,
            int8=config.int8 or None,
            profiles=profiles or None,
            calibration_cache=config.calibration_cache,
            timing_cache=config.load_timing_cache,
            save_engine=self.arg_groups[TrtSaveEngineBytesArgs].path,
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
