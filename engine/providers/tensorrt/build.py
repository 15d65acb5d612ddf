"""Building engines from checked graphs."""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from time import perf_counter
from typing import Any

import onnx

from ...checked_graph import CheckedGraph
from ...errors import DeviceError, ModelError, UsageError
from ...precisions import Precision
from .key import EngineKey, Profile
from .layers import Layer, layers_of_inspector, layers_of_report, problem_of_layers
from .library import Library

__all__ = ["BuildOptions", "Built", "build", "logger_of"]

_LARGEST_WORKSPACE = 4 << 30


@dataclass(frozen=True, slots=True)
class BuildOptions:
    """How engines are built.

    Parameters
    ----------
    workspace_bytes : int
        Most device memory that one layer may use for intermediate results [byte].
    refit : bool
        Whether weights can be replaced in the finished engine. TensorRT-RTX builds such engines for one kind of GPU alone, and
        some of them only where a GPU is.
    version_compatible : bool
        Whether other versions of the library may run it, in programs of your own: Photopeak runs engines of its own version.
        TensorRT-RTX has no such engines.
    timing : bytes
        What an earlier build measured of layers, which shortens this one; empty: nothing.
    """

    workspace_bytes: int = _LARGEST_WORKSPACE
    refit: bool = False
    version_compatible: bool = False
    timing: bytes = field(default=b"", repr=False)


@dataclass(frozen=True, slots=True, eq=False)
class Built:
    """An engine that was just built and looked through.

    Parameters
    ----------
    key : EngineKey
        What it is for.
    data : bytes
        The engine, serialised.
    seconds : float
        Wall time of building [s].
    layers : tuple of Layer
        What it is made of.
    timing : bytes
        What was measured of layers, for the next build; empty where nothing is measured.
    """

    key: EngineKey
    data: bytes = field(repr=False)
    seconds: float
    layers: tuple[Layer, ...] = field(repr=False)
    timing: bytes = field(default=b"", repr=False)

    @property
    def sha256(self) -> str:
        """Digest of the serialised engine."""
        return hashlib.sha256(self.data).hexdigest()


def build(graph: CheckedGraph, key: EngineKey, library: Library, options: BuildOptions | None = None) -> Built:
    """Build an engine and look through its layers.

    Parameters
    ----------
    graph : CheckedGraph
        Strongly typed: the library computes in the types that the graph says.
    key : EngineKey
        What to build; its library, capabilities, profiles and precision are used.
    library : Library
        What builds it.
    options : BuildOptions, optional
        Memory, and kinds of engines.

    Returns
    -------
    Built
        Its layers compute in the asked type.

    Raises
    ------
    DeviceError
        If the library cannot be used here.
    ModelError
        If it does not take the graph, or built something else than was asked for.
    UsageError
        If the library has no such precision or engines, or the key is for another graph.
    """
    options = options or BuildOptions()
    _require_sensible(graph, key, library, options)
    trt = library.load()
    messages: list[tuple[int, str]] = []
    logger = logger_of(trt, lambda severity, message: messages.append((severity, message)))
    builder = trt.Builder(logger)
    # Networks of libraries that know weaker ones must say that their types are those of the graph.
    network = builder.create_network(1 << int(trt.NetworkDefinitionCreationFlag.STRONGLY_TYPED))
    parser = trt.OnnxParser(network, logger)  # owns the weights: it must live until the engine is built
    _parse(parser, graph, library)
    config = _configured(trt, builder, key, library, options)
    # Only a library that measures on a GPU has something to remember.
    timing = None if library.is_portable else config.create_timing_cache(options.timing)
    if timing:
        config.set_timing_cache(timing, ignore_mismatch=False)
    _add_profiles(builder, config, graph.input, network, key.profiles)
    start = perf_counter()
    plan = builder.build_serialized_network(network, config)
    seconds = perf_counter() - start
    if plan is None:
        raise ModelError(f"{graph.name}: {library.title} builds no {key.precision} engine ({_reason(trt, messages)}).")
    data = bytes(plan)
    layers = layers_of_report(words for _, words in messages) or _inspected(trt, data, messages)
    plain = _plain_convolutions(graph, key.precision) * len(key.profiles)
    if problem := problem_of_layers(layers, key.precision, plain):
        raise ModelError(f"{graph.name}: {library.title} built another engine than asked for: {problem}.")
    return Built(key, data, seconds, layers, bytes(timing.serialize()) if timing else b"")


def logger_of(trt: Any, keep: Callable[[int, str], None]) -> Any:
    """Return a logger that hands on what a library says, with its severity: 0 and 1 are errors."""

    class Logger(trt.ILogger):  # type: ignore[misc]  # made by the library at run time
        def __init__(self) -> None:
            trt.ILogger.__init__(self)

        def log(self, severity: Any, message: str) -> None:
            keep(int(severity), message)

    return Logger()


def _parse(parser: Any, graph: CheckedGraph, library: Library) -> None:
    """Fill the parser's network; every operator must be one that the library has itself."""
    if not parser.parse(graph.data):
        errors = [parser.get_error(number) for number in range(parser.num_errors)]
        words = "; ".join(f"{error.node_operator()} {error.node_name()!r}: {error.desc()}" for error in errors)
        raise ModelError(f"{graph.name}: {library.title} does not take the graph ({words[:300] or 'no reason given'}).")


def _require_sensible(graph: CheckedGraph, key: EngineKey, library: Library, options: BuildOptions) -> None:
    """Refuse what the library does not have, and keys that would not say what is in the engine."""
    if key.precision not in library.precisions:
        raise UsageError(f"{library.title} takes no {key.precision} graphs; use {', '.join(library.precisions)}.")
    if options.version_compatible and library.is_portable:
        raise UsageError(f"{library.title} builds no version-compatible engines; leave version_compatible out.")
    if (key.graph, key.precision) != (hashlib.sha256(graph.data).hexdigest(), graph.precision):
        raise UsageError(f"{graph.name}: the key is for another graph than this one of {graph.precision}.")
    if (key.refit, key.version_compatible) != (options.refit, options.version_compatible):
        raise UsageError(f"{graph.name}: key and options differ in refit or version_compatible.")


def _plain_convolutions(graph: CheckedGraph, precision: Precision) -> int:
    """Return how many convolutions the graph keeps in float32 although its precision is another one."""
    model = onnx.load_model_from_string(graph.data).graph
    kinds = {tensor.name: tensor.data_type for tensor in model.initializer}
    convolutions = [node for node in model.node if node.op_type in ("Conv", "ConvTranspose")]
    plain = sum(kinds.get(node.input[1]) == onnx.TensorProto.FLOAT for node in convolutions)
    return 0 if precision == "fp32" else plain


def _configured(trt: Any, builder: Any, key: EngineKey, library: Library, options: BuildOptions) -> Any:
    config = builder.create_builder_config()
    config.profiling_verbosity = trt.ProfilingVerbosity.DETAILED
    config.set_memory_pool_limit(trt.MemoryPoolType.WORKSPACE, options.workspace_bytes)
    # TF32 has ten bits of mantissa; who asks for fp32 gets fp32.
    config.clear_flag(trt.BuilderFlag.TF32)
    if options.refit:
        config.set_flag(trt.BuilderFlag.REFIT)
    if options.version_compatible:
        config.set_flag(trt.BuilderFlag.VERSION_COMPATIBLE)
    if library.is_portable:
        config.num_compute_capabilities = len(key.capabilities)
        for number, capability in enumerate(key.capabilities):
            config.set_compute_capability(getattr(trt.ComputeCapability, capability), number)
    return config


def _add_profiles(builder: Any, config: Any, name: str, network: Any, profiles: Sequence[Profile]) -> None:
    channels = network.get_input(0).shape[1]
    for profile in profiles:
        shapes = builder.create_optimization_profile()
        batches = (profile.least, profile.best, profile.most)
        shapes.set_shape(name, *((n, channels, profile.rows, profile.columns) for n in batches))
        if config.add_optimization_profile(shapes) < 0:
            raise ModelError(f"the graph takes no {profile}; export it with other matrix sizes.")


def _inspected(trt: Any, data: bytes, messages: list[tuple[int, str]]) -> tuple[Layer, ...]:
    """Return the layers that the finished engine tells, where there is a GPU that takes it."""
    logger = logger_of(trt, lambda severity, message: messages.append((severity, message)))
    engine = trt.Runtime(logger).deserialize_cuda_engine(data)
    if engine is None:
        raise DeviceError(f"the engine cannot be looked through ({_reason(trt, messages)}).")
    inspector = engine.create_engine_inspector()
    return layers_of_inspector(inspector.get_engine_information(trt.LayerInformationFormat.JSON))


def _reason(trt: Any, messages: list[tuple[int, str]]) -> str:
    """Return the first error that the library told; its internal ones say little."""
    error = int(trt.ILogger.Severity.ERROR)
    words = [words for severity, words in messages if severity == error]
    words += [words for severity, words in messages if severity < error]
    return " ".join(words[0].split())[:300] if words else "no reason given"
