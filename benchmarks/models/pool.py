"""Processes of contestants, seen from the one that measures."""

import json
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryFile
from time import monotonic_ns
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...engine.errors import PhotopeakError
from .contestants import Contestant

__all__ = ["ContestantError", "Process", "process"]

# How long threads wait in loops when a call has ended, rounded up from what their processor time showed: ONNX Runtime 33 ms,
# PyTorch 7 ms, OpenVINO and Photopeak 1 ms.
RESTS_S = {"photopeak": 0.003, "onnxruntime": 0.04, "openvino": 0.003, "torch": 0.01, "torch-compile": 0.01}


class ContestantError(PhotopeakError):
    """A contestant cannot run a case; the others can."""


class Process:
    """A contestant with a model, in a process of its own.

    Parameters
    ----------
    contestant : Contestant
        Who.
    model : str
        Name or folder of the bundle.
    file : Path
        Its graph.
    threads : int
        Threads of one run.
    environment : mapping of str to str
        Of the process.
    """

    def __init__(
        self, contestant: Contestant, model: str, file: Path, threads: int, environment: Mapping[str, str]
    ) -> None:
        self.contestant = contestant
        # A pipe that nobody reads would stop the process when it is full; close() closes the file.
        self._errors = TemporaryFile()  # noqa: SIM115
        self.spawned_ns = monotonic_ns()
        module = f"{__package__}.worker"
        command = [sys.executable, "-m", module, contestant.text(), model, str(file), str(threads)]
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            text=True,
            env=dict(environment),
        )

    @property
    def number(self) -> int:
        """The system's number of the process."""
        return self._process.pid

    @property
    def rest_s(self) -> float:
        """How long the library's threads go on waiting in loops after a call [s]."""
        return RESTS_S[self.contestant.kind]

    def ask(self, **request: Any) -> dict[str, Any]:
        """Return the answer to a request.

        Raises
        ------
        ContestantError
            If the library fails or its process ends.
        """
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        try:
            self._process.stdin.write(json.dumps(request) + "\n")
            self._process.stdin.flush()
            line = self._process.stdout.readline()
        except BrokenPipeError:
            line = ""
        if not line:
            raise ContestantError(f"{self.contestant.name} ended ({self._last_words()}).")
        answer: dict[str, Any] = json.loads(line)
        if "error" in answer:
            raise ContestantError(f"{self.contestant.name}: {answer['error'].rstrip('.')}.")
        return answer

    def output(self, call: str, folder: Path) -> dict[str, NDArray[np.float32]]:
        """Return what a call gives."""
        file = folder / "output.npz"
        self.ask(do="output", call=call, file=str(file))
        with np.load(file) as arrays:
            return {name: arrays[name] for name in arrays.files}

    def close(self) -> None:
        """End the process."""
        if self._process.stdin is not None:
            with suppress(BrokenPipeError):  # it has ended already
                self._process.stdin.close()
        try:
            self._process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        if self._process.stdout is not None:
            self._process.stdout.close()
        self._errors.close()

    def _last_words(self) -> str:
        code = self._process.wait()
        self._errors.seek(0)
        lines = self._errors.read().decode(errors="replace").strip().splitlines()
        return f"exit code {code}{': ' + lines[-1][:300] if lines else ''}"


@contextmanager
def process(
    contestant: Contestant, model: str, file: Path, threads: int, environment: Mapping[str, str]
) -> Iterator[Process]:
    """Start a process that ends with the block."""
    one = Process(contestant, model, file, threads, environment)
    try:
        yield one
    finally:
        one.close()
