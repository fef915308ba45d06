"""polyyolo inspect model|engine|layers|data|qdq: look before you build."""

import click

from polyyolo.cli.inspect_data import data
from polyyolo.cli.inspect_engine import engine
from polyyolo.cli.inspect_layers import layers
from polyyolo.cli.inspect_model import model
from polyyolo.cli.inspect_qdq import qdq


@click.group()
def inspect() -> None:
    """Look at a model, an engine, its layers, its Q/DQ nodes, or what calibration sees."""


inspect.add_command(data)
inspect.add_command(engine)
inspect.add_command(layers)
inspect.add_command(model)
inspect.add_command(qdq)
