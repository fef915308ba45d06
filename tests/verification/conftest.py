"""What tests of verification share."""

import pytest

from polyyolo import progress


class Ear(progress.Silent):
    def __init__(self):
        self.warnings = []

    def warned(self, message, fix):
        self.warnings.append((message, fix))


@pytest.fixture
def ear():
    listener = Ear()
    with progress.listening(listener):
        yield listener
