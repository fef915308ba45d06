"""The options that name pictures, of the commands that quantize and compare."""

from pathlib import Path

import click

PATH = click.Path(path_type=Path)

images_option = click.option(
    "--images",
    type=PATH,
    help="pictures to calibrate with: a folder, a .txt list, a data.yaml or an .npy  [sample photographs]",
)
labelled_option = click.option(
    "--labelled", type=PATH, help="labelled pictures to measure accuracy on: images/ and labels/, data.yaml, COCO JSON"
)
