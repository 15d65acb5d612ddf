"""The process of one contestant: it loads a model, then answers one line of JSON with another until its input ends.

``python -m photopeak.benchmarks.models.worker CONTESTANT MODEL FILE THREADS`` is what :mod:`.pool` starts.
"""

import importlib
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from time import monotonic_ns, perf_counter_ns
from typing import Any

import numpy as np

from .contestants import Calls, Loaded, from_text
from .memory import peak_bytes, resident_bytes

__all__ = ["Worker", "main"]

# A call that takes longer fills the caches by itself.
SETTLED_NS = 100_000_000


class Worker:
    """Requests by name.

    Parameters
    ----------
    loaded : Loaded
        The model in its library.
    started : dict
        Stamps and memory of the start, which the request ``started`` returns.
    clock : callable
        Returns nanoseconds.
    """

    def __init__(self, loaded: Loaded, started: dict[str, Any], clock: Callable[[], int] = perf_counter_ns) -> None:
        self._loaded, self._started, self._clock = loaded, started, clock
        self._calls: Calls = {}

    def answer(self, request: dict[str, Any]) -> dict[str, Any]:
        """Return the answer to one request."""
        handlers: dict[str, Callable[..., dict[str, Any]]] = {
            "started": self._start,
            "ready": self._ready,
            "pool": self._pool,
            "turn": self._turn,
            "output": self._output,
        }
        return handlers[request.pop("do")](**request)

    def _start(self) -> dict[str, Any]:
        return self._started

    def _ready(self, tensor: str) -> dict[str, Any]:
        """Prepare for an input; the first run of each call is part of it."""
        pixels = np.load(tensor)
        self._calls = {}  # the buffers of the case before go first
        self._calls = self._loaded.calls(pixels)
        first, *others = self._calls.values()
        first()
        answer = {"first_ns": monotonic_ns(), "peak_bytes": peak_bytes()}
        for call in others:
            call()
        return answer | {"calls": list(self._calls), "facts": self._loaded.facts(pixels)}

    def _pool(self, tensor: str) -> dict[str, Any]:
        """Prepare for a pool of samples, of which each query takes one at random, the same ones in every run."""
        pixels = np.load(tensor)
        self._calls = {}
        samples = [self._loaded.sample(pixels[index : index + 1]) for index in range(len(pixels))]
        generator = np.random.default_rng(0)

        def query() -> Any:
            return samples[generator.integers(len(samples))]()

        for sample in samples:
            sample()
        self._calls = {"query": query}
        return {"calls": list(self._calls), "facts": self._loaded.facts(pixels[:1]), "peak_bytes": peak_bytes()}

    def _turn(self, call: str, calls: int) -> dict[str, Any]:
        """Return the nanoseconds of calls in a row, after one that is not timed where it is short."""
        function, clock = self._calls[call], self._clock
        start = clock()
        function()
        first = clock() - start
        settled = first < SETTLED_NS
        times = [] if settled else [first]
        while len(times) < calls:
            start = clock()
            function()
            times.append(clock() - start)
        return {"times_ns": times, "made": len(times) + settled}

    def _output(self, call: str, file: str) -> dict[str, Any]:
        """Write what a call gives to a file."""
        outputs: dict[str, Any] = dict(self._calls[call]())
        np.savez(file, **outputs)
        return {}


def main() -> None:
    """Load what the arguments name and answer requests."""
    main_ns = monotonic_ns()
    # Libraries print on standard output: what was it is for answers alone.
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    text, model, file, threads = sys.argv[1:]
    contestant = from_text(text)
    begun_ns = monotonic_ns()
    for name in contestant.imports:
        importlib.import_module(name)
    started: dict[str, Any] = {"main_ns": main_ns, "begun_ns": begun_ns, "imported_ns": monotonic_ns()}
    started["imported_bytes"] = resident_bytes()
    contestant.adapt()
    # What surrounds a peer here is no cost of its own.
    started |= {"adapted_ns": monotonic_ns(), "adapted_bytes": resident_bytes()}
    worker: Worker | None = None
    for line in sys.stdin:
        try:
            if worker is None:
                loaded = contestant.load(model, Path(file), int(threads))
                worker = Worker(loaded, started | {"loaded_ns": monotonic_ns()})
            answer = worker.answer(json.loads(line))
        except Exception as error:  # noqa: BLE001 - libraries have errors of their own; the parent tells the user
            answer = {"error": f"{type(error).__name__}: {' '.join(str(error).split())[:300]}"}
        print(json.dumps(answer), file=answers, flush=True)


if __name__ == "__main__":
    main()
