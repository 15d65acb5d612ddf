"""One suite, every provider: the same graphs, shapes and tolerances."""

import re
from time import perf_counter, process_time

import numpy as np
import pytest

from photopeak.engine import zoo
from photopeak.engine.errors import DeviceError, UsageError
from photopeak.engine.graph import check_graph
from photopeak.engine.plan import TOLERANCES
from photopeak.engine.providers import PRECISIONS, PROVIDERS, Target, find

GRAPHS = ("smooth", "anscombe", "quarters", "pooled", "brightened", "averaged")
SHAPES = ((1, 16, 16), (2, 24, 40), (5, 10, 130), (1, 256, 64))
TARGETS = [
    pytest.param(
        provider,
        Target(kind, precision, 2),
        id=f"{provider.name}-{precision}-{kind}",
        marks=pytest.mark.gpu if kind == "cuda" else (),
    )
    for provider in PROVIDERS
    for kind, precision in provider.offers
]
STREAMED = [
    pytest.param(find("openvino"), Target("cpu", precision, 2, streams=2), id=f"openvino-{precision}-2-streams")
    for _, precision in find("openvino").offers
]
ALL_TARGETS = [
    pytest.param(provider, Target(device, precision), id=f"{provider.name}-{precision}-{device}")
    for provider in PROVIDERS
    for device in ("cpu", "cuda")
    for precision in PRECISIONS
]


@pytest.fixture
def prepare():
    """Return a function that prepares a bundle, and skips with the reason where it cannot run."""

    def prepare(provider, bundle, target):
        if reason := provider.check(target):
            pytest.skip(reason)
        wanted = provider.graph(target)
        if wanted == "int8" and bundle.int8 is None:
            pytest.skip(f"{bundle.name} has no graph of int8")
        return provider.prepare(check_graph(bundle, wanted), target)

    return prepare


@pytest.fixture
def averaged(bundle_factory, schemes_of):
    """Return a bundle with a graph of each precision."""
    return bundle_factory("averaged", int8=schemes_of("averaged"))


@pytest.mark.parametrize(("provider", "target"), TARGETS + STREAMED)
@pytest.mark.parametrize("name", GRAPHS)
def test_output_is_the_closed_form(prepare, bundle_factory, recipes, schemes_of, provider, target, name):
    lane = prepare(provider, bundle_factory(name, int8=schemes_of(name)), target).lane()
    rng = np.random.default_rng(3)
    for n, rows, columns in SHAPES:
        counts = rng.poisson(20, (n, 1, rows, columns)).astype(np.float32)
        expected = recipes[name].truth(counts)
        output = lane.run(counts)
        assert output.dtype == np.float32
        assert output.shape == expected.shape
        np.testing.assert_allclose(output, expected, atol=TOLERANCES[target.precision] * expected.max())


@pytest.mark.parametrize(("provider", "target"), TARGETS + STREAMED)
@pytest.mark.parametrize("model", zoo.names("images"))
def test_golden_output_of_the_zoo(prepare, provider, target, model):
    bundle = zoo.load_bundle(model)
    output = prepare(provider, bundle, target).lane().run(bundle.golden.input)
    peak = bundle.golden.output.max()
    np.testing.assert_allclose(output, bundle.golden.output, atol=TOLERANCES[target.precision] * peak)


@pytest.mark.parametrize(("provider", "target"), TARGETS + STREAMED)
def test_same_array_with_new_content_is_read_again(prepare, averaged, provider, target):
    lane = prepare(provider, averaged, target).lane()
    counts = np.full((1, 1, 16, 16), 8, np.float32)
    assert lane.run(counts)[0, 0, 8, 8] == pytest.approx(8, rel=0.02)
    counts[:] = 16
    assert lane.run(counts)[0, 0, 8, 8] == pytest.approx(16, rel=0.02)


@pytest.mark.parametrize(("provider", "target"), TARGETS + STREAMED)
def test_lanes_share_nothing(prepare, averaged, provider, target):
    runnable = prepare(provider, averaged, target)
    first, second = runnable.lane(), runnable.lane()
    one = first.run(np.full((1, 1, 16, 16), 8, np.float32))
    two = second.run(np.full((1, 1, 16, 16), 16, np.float32))
    assert one[0, 0, 1:-1, 1:-1] == pytest.approx(8, rel=0.02)
    assert two[0, 0, 1:-1, 1:-1] == pytest.approx(16, rel=0.02)


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize(
    "name", ["onnxruntime", "openvino"]
)  # the reference is NumPy, whose library has threads of its own
def test_no_more_threads_work_than_were_asked_for(prepare, name, threads):
    """Processor time passes at most so many times as fast as the clock; other programs can only slow it down."""
    lane = prepare(find(name), zoo.load_bundle("scint-denoise"), Target("cpu", "fp32", threads)).lane()
    counts = np.full((1, 1, 96, 96), 4, np.float32)
    lane.run(counts)
    cpu, wall = process_time(), perf_counter()
    while perf_counter() - wall < 0.3:
        lane.run(counts)
    assert process_time() - cpu < 1.1 * threads * (perf_counter() - wall)


@pytest.mark.parametrize("provider", PROVIDERS, ids=lambda provider: provider.name)
def test_streams_and_layouts_are_run_or_refused(provider):
    kind, precision = provider.offers[0]
    if kind == "cpu":
        assert "layout nhwc" in provider.check(Target(kind, precision, layout="nhwc"))
    if provider.name != "openvino":
        assert "one request at a time" in provider.check(Target(kind, precision, 2, streams=2))
    for kind, precision in provider.offers:
        reason = provider.check(Target(kind, precision, throughout=True))
        if provider.name != "openvino" or precision not in ("bf16", "int8"):
            assert f"carries bf16 through no graph of {precision}" in reason


@pytest.mark.parametrize("wrong", [{"streams": 0}, {"streams": 3}, {"layout": "nwhc"}, {"threads": 0}])
def test_targets_that_make_no_sense(wrong):
    with pytest.raises(UsageError, match=r"makes no sense|is not a layout"):
        Target(**{"threads": 2, **wrong})


@pytest.mark.parametrize(("provider", "target"), ALL_TARGETS)
def test_target_can_be_prepared_or_is_an_error_with_the_reason(averaged, provider, target):
    reason = provider.check(target)
    if not reason:
        assert (target.kind, target.precision) in provider.offers
        assert provider.prepare(check_graph(averaged, provider.graph(target)), target).lane() is not None
        return
    with pytest.raises(DeviceError, match=re.escape(reason)):
        provider.prepare(check_graph(averaged), target)


@pytest.mark.parametrize("provider", PROVIDERS, ids=lambda provider: provider.name)
def test_version_is_a_version_or_says_what_to_install(provider):
    if getattr(provider, "library", None) and provider.library.problem():
        with pytest.raises(DeviceError, match="pip install"):
            provider.version()
    else:
        assert provider.version()[0].isdigit()
