"""Options of how a model is read, calibrated and quantized, the same on every verb that does so."""

import click

from polyyolo.cli.ranges import Finite
from polyyolo.records import HeadKind

head_option = click.option(
    "--head", type=click.Choice([each.value for each in HeadKind]), help="the head's family  [by structure]"
)
count_option = click.option(
    "--count", type=click.IntRange(1), default=128, show_default=True, help="pictures to calibrate with, at most"
)
seed_option = click.option("--seed", type=int, default=0, show_default=True, help="of the choice of pictures")
method_option = click.option(
    "--method",
    default="mse-seen",
    show_default=True,
    help="mse-seen, mse, max, entropy, percentile-P, or auto: what measures best",
)
keep_float_option = click.option(
    "--keep-float",
    multiple=True,
    default=("auto",),
    show_default=True,
    metavar="auto|stem|none|NODE",
    help="what stays in float besides the head: what costs the most, what is nearest the image, or by name; may be "
    "repeated",
)
budget_option = click.option(
    "--budget",
    type=Finite(0, 1),
    default=0.10,
    show_default=True,
    help="share of the work that may be in float with auto or stem, the head's with it",
)
