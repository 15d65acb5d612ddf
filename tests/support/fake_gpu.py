"""Stand-ins for PyCUDA and TensorRT on NumPy memory, so that all of our code round engines runs without a GPU.

They are strict where the real ones are: nothing happens in a stream before it is waited for, nothing may be called without a
current context, and what is dropped without one is counted.
"""

import gc
import weakref
from types import ModuleType, SimpleNamespace

import numpy as np
import onnx
from onnx.reference import ReferenceEvaluator


class FakeDriver:
    """As ``pycuda.driver``, with one GPU."""

    def __init__(self, capability=(8, 9)):
        self.stack, self.dropped_outside, self.copies, self.detached = [], 0, 0, 0
        self.memories = weakref.WeakValueDictionary()
        self.largest = 1 << 30
        self.streams = []
        driver = self

        class Context:
            def push(self):
                driver.stack.append(self)

            def detach(self):
                driver.detached += 1

            @staticmethod
            def pop():
                driver.stack.pop()

        class Device:
            def __init__(self, index):
                self.index = index

            @staticmethod
            def count():
                return 1

            def name(self):
                return "Fake GPU"

            def compute_capability(self):
                return capability

            def retain_primary_context(self):
                return Context()

        self.Device = Device
        self.library = FakeLibrary(self)

    def init(self):
        pass

    def Stream(self):
        assert self.stack
        stream = FakeStream(len(self.streams) + 100)
        self.streams.append(weakref.ref(stream))
        return stream

    def stream(self, handle):
        return next(stream() for stream in self.streams if stream() and stream().handle == handle)

    def mem_alloc(self, size):
        assert self.stack
        if size > self.largest:
            raise RuntimeError("cuMemAlloc failed: out of memory")
        memory = FakeMemory(self, size)
        self.memories[int(memory)] = memory
        return memory

    def memcpy_htod_async(self, target, source, stream):
        assert self.stack
        stream.waiting.append(lambda: self._upload(target, source))

    def _upload(self, target, source):
        self.copies += 1
        target.content[:] = source.tobytes()

    def memcpy_dtoh_async(self, target, source, stream):
        assert self.stack
        stream.waiting.append(
            lambda: np.copyto(target, np.frombuffer(source.content, np.float32).reshape(target.shape))
        )


class FakeLibrary:
    """As the driver's own library, of which only memory that is locked matters."""

    def __init__(self, driver):
        self.driver, self.locked = driver, set()

    def cuMemHostRegister_v2(self, address, size, flags):
        assert self.driver.stack
        assert address.value % 4096 == size.value % 4096 == 0
        self.locked.add(address.value)
        return 0

    def cuMemHostUnregister(self, address):
        self.driver.dropped_outside += not self.driver.stack
        self.locked.remove(address.value)


class FakeMemory:
    """As a device allocation."""

    def __init__(self, driver, size):
        self.driver, self.content = driver, bytearray(size)

    def __int__(self):
        return id(self)

    def __del__(self):
        self.driver.dropped_outside += not self.driver.stack


class FakeStream:
    """As a stream."""

    def __init__(self, handle):
        self.handle, self.waiting = handle, []

    def synchronize(self):
        while self.waiting:
            self.waiting.pop(0)()


class FakeCapture:
    """As :class:`photopeak.engine.providers.tensorrt.cuda.Capture`."""

    made = 0

    def __init__(self, stream, enqueue):
        assert not stream.waiting
        enqueue()
        self.work, stream.waiting = stream.waiting, []
        FakeCapture.made += 1

    def launch(self, stream):
        stream.waiting.extend(self.work)


def fake_tensorrt(driver, scale=1, complaint=""):
    """Return a module as ``tensorrt``, whose serialised engines are ONNX graphs."""

    class Logger:
        Severity = SimpleNamespace(ERROR=1)

    class Runtime:
        def __init__(self, logger):
            self.logger = logger

        def deserialize_cuda_engine(self, data):
            assert driver.stack
            if complaint:
                self.logger.log(1, complaint)
                return None
            return FakeEngine(driver, data, self.logger)

    return SimpleNamespace(
        ILogger=Logger,
        Runtime=Runtime,
        ExecutionContextAllocationStrategy=SimpleNamespace(USER_MANAGED="user"),
        CudaGraphStrategy=SimpleNamespace(WHOLE_GRAPH_CAPTURE="whole"),
        DynamicShapesKernelSpecializationStrategy=SimpleNamespace(EAGER="eager"),
    )


class FakeRuntimeCache:
    """As TensorRT-RTX's cache of compiled kernels."""

    def __init__(self):
        self.kernels = b""

    def deserialize(self, kernels):
        self.kernels = kernels

    def serialize(self):
        return self.kernels


class FakeEngine:
    """As a deserialised engine."""

    def __init__(self, driver, data, logger):
        self.driver, self.logger = driver, logger
        model = onnx.load_model_from_string(data)
        self.evaluator = ReferenceEvaluator(model)
        self.input = model.graph.input[0].name
        self.outputs = [output.name for output in model.graph.output]
        self.config = None
        self.contexts = 0

    def create_runtime_config(self):
        cache = FakeRuntimeCache()
        self.config = SimpleNamespace(
            create_runtime_cache=FakeRuntimeCache,
            get_runtime_cache=lambda: self.config.cache,
            set_runtime_cache=lambda chosen: setattr(self.config, "cache", chosen),
            set_execution_context_allocation_strategy=lambda chosen: setattr(self.config, "strategy", chosen),
            cache=cache,
        )
        return self.config

    def create_execution_context(self, given):
        assert given == "user" or (given.strategy, given.cuda_graph_strategy) == ("user", "whole")
        self.contexts += 1
        return FakeContext(self)


class FakeContext:
    """As an execution context."""

    def __init__(self, engine):
        self.engine, self.shape, self.addresses, self.size = engine, (), {}, 0

    def set_optimization_profile_async(self, number, handle):
        return True

    def set_input_shape(self, name, shape):
        self.shape = shape
        return name == self.engine.input

    def get_tensor_shape(self, name):
        trial = np.zeros(self.shape, np.float32)
        found = dict(zip(self.engine.outputs, self.engine.evaluator.run(None, {self.engine.input: trial}), strict=True))
        return found[name].shape

    def set_tensor_address(self, name, address):
        self.addresses[name] = address

    def update_device_memory_size_for_shapes(self):
        return 4 * int(np.prod(self.shape))

    def set_device_memory(self, address, size):
        assert len(self.engine.driver.memories[address].content) >= size
        self.size = size

    def execute_async_v3(self, handle):
        assert self.size
        self.engine.driver.stream(handle).waiting.append(self._execute)
        if self.engine.config:
            self.engine.config.cache.kernels = b"compiled"
        return True

    def _execute(self):
        memories = self.engine.driver.memories
        taken = np.frombuffer(memories[self.addresses[self.engine.input]].content, np.float32).reshape(self.shape)
        found = self.engine.evaluator.run(None, {self.engine.input: taken})
        for name, array in zip(self.engine.outputs, found, strict=True):
            memories[self.addresses[name]].content[:] = np.ascontiguousarray(array, np.float32).tobytes()


def modules_of(driver):
    """Return what ``sys.modules`` must hold for ``from pycuda import driver``."""
    package = ModuleType("pycuda")
    package.driver = driver
    return {"pycuda": package, "pycuda.driver": driver}


def collected():
    """Drop what nothing refers to any more."""
    gc.collect()
