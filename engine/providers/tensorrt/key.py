"""What an engine is for: nothing else may be run with it."""

import hashlib
import json
import platform
from typing import Annotated, Literal

from pydantic import Field, model_validator

from ...domain_statistics import Strict
from ...golden import Shape
from ...manifest import Sha256
from ...precisions import Precision

__all__ = ["Capability", "EngineKey", "Need", "Profile", "this_platform"]

Capability = Annotated[str, Field(pattern="^SM[1-9][0-9]{1,2}$")]
Size = Annotated[int, Field(ge=1, le=1 << 16)]


class Profile(Strict):
    """The tensors that one part of an engine takes: one matrix size, and a range of batches.

    Parameters
    ----------
    rows, columns : int
        Of the graph's input [px].
    least, best, most : int
        Frames of a run: fewest, those that the engine is tuned for, and most.

    Examples
    --------
    >>> Profile(rows=128, columns=128, most=8).covers((4, 1, 128, 128))
    True
    """

    rows: Size
    columns: Size
    least: Size = 1
    best: Size = 1
    most: Size = 1

    @model_validator(mode="after")
    def _is_in_order(self) -> "Profile":
        if not self.least <= self.best <= self.most:
            raise ValueError(f"batches {self.least}, {self.best}, {self.most} are not in order")
        return self

    def covers(self, shape: Shape) -> bool:
        """Return whether a tensor of shape (n, channels, rows, columns) can be run."""
        return shape[2:] == (self.rows, self.columns) and self.least <= shape[0] <= self.most

    def __str__(self) -> str:
        return f"{self.rows}x{self.columns}, batches of {self.least} to {self.most}"


class EngineKey(Strict):
    """Everything that decides what is in an engine, and where it may run.

    Parameters
    ----------
    format : int
        Version of the files that engines are kept in.
    bundle : str
        SHA-256 of the bundle's manifest: the identity of the model.
    graph : str
        SHA-256 of the graph that was built, which derives from the bundle's.
    precision : str
        Arithmetic of that graph.
    profiles : tuple of Profile
        Matrix sizes and batches.
    library, version : str
        What built it, and alone can run it.
    capabilities : tuple of str
        Kinds of GPUs that it is for, such as ``SM89``.
    gpu, driver : str
        Name of the GPU and version of its driver, where the library measures on a GPU while it builds; else empty.
    platform : str
        Operating system and architecture.
    refit, version_compatible : bool
        How it was built, see :class:`~photopeak.engine.providers.tensorrt.build.BuildOptions`.
    """

    format: Literal[1] = 1
    bundle: Sha256
    graph: Sha256
    precision: Precision
    profiles: Annotated[tuple[Profile, ...], Field(min_length=1, max_length=64)]
    library: str
    version: str
    capabilities: Annotated[tuple[Capability, ...], Field(min_length=1, max_length=16)]
    gpu: str = ""
    driver: str = ""
    platform: str
    refit: bool = False
    version_compatible: bool = False

    @property
    def digest(self) -> str:
        """SHA-256 of the key, which names the engine's files."""
        return hashlib.sha256(json.dumps(self.model_dump(mode="json"), sort_keys=True).encode()).hexdigest()

    def profile_for(self, shape: Shape) -> int:
        """Return the number of the profile for a tensor of this shape, the narrowest one; -1 if there is none."""
        fitting = [(profile.most, number) for number, profile in enumerate(self.profiles) if profile.covers(shape)]
        return min(fitting)[1] if fitting else -1


class Need(Strict):
    """What an engine must be for a run here.

    Parameters
    ----------
    bundle, graph, precision, library, version, gpu, driver, platform
        As in :class:`EngineKey`.
    capability : str
        Kind of the GPU that is here.
    """

    bundle: Sha256
    graph: Sha256
    precision: Precision
    library: str
    version: str
    capability: Capability
    gpu: str = ""
    driver: str = ""
    platform: str

    def key(self, profile: Profile) -> EngineKey:
        """Return the key of an engine that serves this need and nothing else."""
        same = self.model_dump(exclude={"capability"})
        return EngineKey(**same, profiles=(profile,), capabilities=(self.capability,))

    def mismatch(self, key: EngineKey, shape: Shape) -> str:
        """Return why an engine cannot serve, or an empty string.

        Parameters
        ----------
        key : EngineKey
            What the engine is for.
        shape : tuple of int
            Of the tensor to run, (n, channels, rows, columns).
        """
        for name in type(self).model_fields:
            if name != "capability" and getattr(self, name) != getattr(key, name):
                return (
                    f"its {name} is {getattr(key, name) or 'none'!s:.24} and not {getattr(self, name) or 'none'!s:.24}"
                )
        if self.capability not in key.capabilities:
            return f"it is for {', '.join(key.capabilities)} and not for {self.capability}"
        if key.profile_for(shape) < 0:
            return f"it is for {'; '.join(map(str, key.profiles))} and not for {shape[0]} of {shape[2]}x{shape[3]}"
        return ""


def this_platform() -> str:
    """Return operating system and architecture, such as ``Linux x86_64``."""
    return f"{platform.system()} {platform.machine()}"
