"""One inference by trtexec: arrays in, arrays out; its options for that are the same from 8.5 to 11."""

import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from attrs import frozen

from polyyolo.engines.failures import end_of, fix_for
from polyyolo.engines.running import Ended, Run, run_logged
from polyyolo.engines.trtexec_outputs import read_outputs
from polyyolo.errors import ToolFailed
from polyyolo.records import Command
from polyyolo.verification.boxes import Array

TAIL_LINES = 12


@frozen
class Inferred:
    """What one run gave.

    Attributes:
        outputs: output name -> array.
        latency_ms: of the one query that was made, on a GPU that has not warmed up.
    """

    outputs: Mapping[str, Array]
    latency_ms: float


@frozen
class Session:
    """An engine, ready to be loaded by trtexec again and again.

    Attributes:
        trtexec: the program.
        engine: a plan of its release.
        folder: for what goes in and out; without commas or colons in its path.
        run: what runs a command.
    """

    trtexec: Path
    engine: Path
    folder: Path
    run: Run = run_logged

    def infer(self, feed: Mapping[str, Array]) -> Inferred:
        """Load the engine, run it once, and read what it gave.

        Args:
            feed: input name -> array, of the type that the engine wants.

        Raises:
            ToolFailed: trtexec failed, or wrote no outputs that can be read.
        """
        command = self._command(feed)
        for exported in (self._outputs, self._times):
            exported.unlink(missing_ok=True)
        ended = self.run(command, self._log)
        if ended.status:
            raise _failed(end_of(ended), command, ended, self._log)
        try:
            outputs = read_outputs(self._outputs.read_text(encoding="utf-8"))
            latency_ms = float(json.loads(self._times.read_text(encoding="utf-8"))[-1]["latencyMs"])
        except (OSError, ValueError, LookupError, TypeError) as error:
            told = f"says that it succeeded, but its exports cannot be read: {error}"
            raise _failed(told, command, ended, self._log) from error
        return Inferred(outputs, latency_ms)

    @property
    def _log(self) -> Path:
        return self.folder / "infer.log"

    @property
    def _outputs(self) -> Path:
        return self.folder / "outputs.json"

    @property
    def _times(self) -> Path:
        return self.folder / "times.json"

    def _command(self, feed: Mapping[str, Array]) -> Command:
        """Write the inputs to files, and spell the command that loads them; fixed shapes may be told to an engine."""
        loads, shapes = [], []
        for number, (name, array) in enumerate(feed.items()):
            raw = self.folder / f"input-{number}.bin"
            np.ascontiguousarray(array).tofile(raw)
            quoted = f"'{name}'" if set(name) & set(":,") else name
            loads.append(f"{quoted}:{raw}")
            shapes.append(f"{quoted}:{'x'.join(map(str, array.shape))}")
        return Command(
            (
                str(self.trtexec),
                f"--loadEngine={self.engine}",
                f"--shapes={','.join(shapes)}",
                f"--loadInputs={','.join(loads)}",
                f"--exportOutput={self._outputs}",
                f"--exportTimes={self._times}",
                "--iterations=1",
                "--duration=0",
                "--warmUp=0",
            )
        )


def _failed(what: str, command: Command, ended: Ended, log: Path) -> ToolFailed:
    return ToolFailed(
        f"trtexec {what}",
        fix=fix_for(ended.lines),
        argv=command.argv,
        status=ended.status,
        tail="\n".join(ended.lines[-TAIL_LINES:]),
        log_path=log,
    )
