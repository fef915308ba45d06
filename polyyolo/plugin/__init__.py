"""What ``polygraphy run`` learns from polyyolo: pictures as input, comparison by boxes, trtexec as a runner.

Polygraphy calls ``argument_groups`` (entry point ``polygraphy.run.plugins``) whatever its command is, so that nothing
heavy is imported before one of our options is used. Scripts of ``polygraphy run --gen-script`` import ``pictures``,
``boxes``, ``session`` and ``trtexec`` by name.
"""

from typing import Any


def argument_groups() -> list[Any]:
    """Give Polygraphy our groups of options."""
    from polyyolo.plugin.compare_arguments import YoloCompareArgs
    from polyyolo.plugin.image_arguments import YoloImagesArgs
    from polyyolo.plugin.runner_arguments import YoloTrtexecArgs
    from polyyolo.plugin.session_arguments import YoloSessionArgs

    return [YoloImagesArgs(), YoloCompareArgs(), YoloTrtexecArgs(), YoloSessionArgs()]
