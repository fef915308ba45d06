"""One inference by trtexec: arrays in, arrays out."""

from collections.abc import Mapping
from functools import partial
from pathlib import Path

import numpy as np
from attrs import field, frozen

from polyyolo.engines.failures import end_of, failure
from polyyolo.engines.running import Run, run_logged
from polyyolo.engines.trtexec_inference import load_flags, once_flags
from polyyolo.engines.trtexec_outputs import BYTES_SINCE, read_bytes, read_outputs
from polyyolo.engines.trtexec_results import read_times
from polyyolo.engines.trtexec_timing import Dialect
from polyyolo.errors import InputError
from polyyolo.records import Command, Toolchain
from polyyolo.verification.boxes import Array


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
        toolchain: with trtexec.
        engine: a plan of its release.
        folder: for what goes in and out.
        run: what runs a command there.
    """

    toolchain: Toolchain
    engine: Path
    folder: Path
    run: Run = field()

    @run.default
    def _run_in_folder(self) -> Run:
        return partial(run_logged, folder=self.folder)

    @property
    def exact(self) -> bool:
        """Whether outputs come as they are; with six digits two classes whose scores are near 1 become equal."""
        return self.toolchain.release >= BYTES_SINCE

    def infer(self, feed: Mapping[str, Array]) -> Inferred:
        """Load the engine, run it once, and read what it gave.

        Args:
            feed: input name -> array, of the type that the engine wants.

        Raises:
            ToolchainError: the disk is full.
            ToolFailed: trtexec failed, or wrote no outputs that can be read.
        """
        command = self._command(feed)
        for exported in (self._outputs, self._times, *self.folder.glob("*.raw")):
            exported.unlink(missing_ok=True)
        ended = self.run(command, self._log)
        if ended.status:
            raise failure(end_of(ended), command, ended, self._log)
        try:
            outputs = self._read()
            latency_ms = float(read_times(self._times).total_ms[-1])
        except (OSError, ValueError, LookupError, TypeError, InputError) as error:
            told = f"says that it succeeded, but its exports cannot be read: {error}"
            raise failure(told, command, ended, self._log) from error
        return Inferred(outputs, latency_ms)

    def _read(self) -> Mapping[str, Array]:
        if self.exact:
            return read_bytes(self._log.read_text(encoding="utf-8", errors="replace"), self.folder)
        return read_outputs(self._outputs.read_text(encoding="utf-8"))

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
        """Write the inputs to files, and spell the command that loads them.

        They are named as trtexec, which runs there, finds them: it would cut the folder's path at a comma or colon.
        """
        raw = {name: Path(f"input-{number}.bin") for number, name in enumerate(feed)}
        for name, path in raw.items():
            np.ascontiguousarray(feed[name]).tofile(self.folder / path)
        loaded = load_flags(self.engine, {name: array.shape for name, array in feed.items()})
        once = once_flags(Dialect(self.toolchain.release), raw, None if self.exact else self._outputs)
        program = str(self.toolchain.trtexec or "trtexec")
        return Command((program, *loaded, *once, f"--exportTimes={self._times}"))
