"""Class activation maps as outputs of the graph: Grad-CAM without automatic differentiation.

Runtimes have no backward pass. So the gradient of a head, that is of what comes after the last block, is written down with
forward operators and exported with the network: for a pooled linear head it is a constant, and the map costs one 1x1
convolution; any other head is traced, and each of its layers followed by its gradient.
"""

from typing import Any, cast

import torch
from torch import Tensor, fx, nn
from torch.nn import functional

from .gradients import AveragedConvolution, Step, ones, positions, rule_of

__all__ = ["with_cam"]


def with_cam(net: nn.Module) -> nn.Module:
    """Return a network that gives its maps and features beside what it gives itself.

    Parameters
    ----------
    net : nn.Module
        In evaluation mode, trained: weights are copied. It has ``features(image)``, the last block after its activation,
        (n, d, h', w'), and ``head(features)``: logits (n, k, 1, 1) of a classification, or a tuple of heat (n, 1, h', w') and
        whatever else of a detection.

    Returns
    -------
    nn.Module
        Gives logits (or heat and whatever else), then ``cam`` (n, k, h', w'), Grad-CAM of each class's logit or of the
        log-sum-exp of the heat, and ``embedding`` (n, d, 1, 1), the mean of the features over their positions.

    Raises
    ------
    ModelError
        If the gradient of a layer of the head is not known, see :mod:`.gradients`.

    References
    ----------
    * Zhou, B. et al. (2016). Learning deep features for discriminative localization. CVPR. (The pooled linear head.)
    * Selvaraju, R. R. et al. (2017). Grad-CAM: visual explanations from deep networks via gradient-based localization. ICCV.

    Examples
    --------
    >>> class Net(nn.Module):
    ...     def __init__(self):
    ...         super().__init__()
    ...         self.block, self.linear = nn.Conv2d(1, 8, 3, 2, 1), nn.Conv2d(8, 3, 1)
    ...     def features(self, image):
    ...         return functional.relu(self.block(image))
    ...     def head(self, features):
    ...         return self.linear(features.mean((2, 3), keepdim=True))
    >>> logits, cam, embedding = with_cam(Net().eval())(torch.ones(2, 1, 32, 48))
    >>> logits.shape, cam.shape, embedding.shape
    (torch.Size([2, 3, 1, 1]), torch.Size([2, 3, 16, 24]), torch.Size([2, 8, 1, 1]))
    """
    head = _Head(net)
    linear = head.pooled_linear()
    return _Closed(net, linear).eval() if linear else _Analytic(net, head).eval()


class _Closed(nn.Module):
    """Pooled linear head: the gradient of class k is its weights over the number of positions."""

    def __init__(self, net: nn.Module, linear: nn.Conv2d) -> None:
        super().__init__()
        self.net = net
        self.register_buffer("weights", linear.weight.detach().clone())

    def forward(self, image: Tensor) -> tuple[Tensor, ...]:
        features = cast(Any, self.net).features(image)
        cam = functional.relu(functional.conv2d(features, cast(Tensor, self.weights))) / positions(features)
        return cast(Any, self.net).head(features), cam, features.mean((2, 3), keepdim=True)


class _Analytic(nn.Module):
    """Any other head: values forward, gradients back."""

    def __init__(self, net: nn.Module, head: "_Head") -> None:
        super().__init__()
        self.net, self._head = net, head
        self._averaged = nn.ModuleDict(head.averaged())

    def forward(self, image: Tensor) -> tuple[Tensor, ...]:
        features = cast(Any, self.net).features(image)
        steps, outputs = self._head.run(features)
        maps = []
        for seed in self._seeds(outputs):
            weights = self._head.mean_gradient(steps, features, seed, self._averaged)
            maps.append(functional.relu((weights * features).sum(1, keepdim=True)))
        cam = torch.cat(maps, 1) if len(maps) > 1 else maps[0]
        return *outputs, cam, features.mean((2, 3), keepdim=True)

    def _seeds(self, outputs: tuple[Tensor, ...]) -> list[Tensor]:
        """Return the gradient of each score at the first output: of the heat's log-sum-exp, or of each logit."""
        first = outputs[0]
        if self._head.detects:
            rising = torch.exp(first - first.amax((2, 3), keepdim=True))
            return [rising / rising.sum((2, 3), keepdim=True)]
        masks = torch.eye(first.shape[1], dtype=first.dtype, device=first.device)[:, :, None, None]
        return [ones(first) * mask[None] for mask in masks]


class _Traced(nn.Module):
    """The head of a network as a module, to be traced."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net

    def forward(self, features: Tensor) -> Any:
        return cast(Any, self.net).head(features)


class _Head:
    """The steps of a network's head, forward and back."""

    def __init__(self, net: nn.Module) -> None:
        traced = fx.symbolic_trace(_Traced(net))
        self._modules = dict(traced.named_modules())
        self._steps = [node for node in traced.graph.nodes if node.op not in ("placeholder", "output")]
        (self._input,) = traced.graph.find_nodes(op="placeholder")
        (output,) = traced.graph.find_nodes(op="output")
        given: Any = output.args[0]
        self.detects = isinstance(given, tuple | list)
        self._outputs: tuple[fx.Node, ...] = tuple(given) if self.detects else (given,)
        self._path = [node for node in self._steps if node in self._behind() and node in self._before()]
        self._rules = {node: rule_of(node, self._module(node)) for node in self._path}

    def pooled_linear(self) -> nn.Conv2d | None:
        """Return the 1x1 convolution of a head that does nothing but pool and mix, else nothing."""
        kinds = [rule.__name__ for rule in self._rules.values() if rule.__name__ != "_same"]
        linear = [module for node in self._path if isinstance(module := self._module(node), nn.Conv2d)]
        plain = sorted(kinds) == ["_convolution", "_mean"] and linear[0].kernel_size == (1, 1)
        return (
            linear[0] if plain and not self.detects and linear[0].groups == 1 and not any(linear[0].padding) else None
        )

    def averaged(self) -> dict[str, nn.Module]:
        """Return what stands for the convolutions of the features themselves."""
        found: dict[str, nn.Module] = {}
        for node in self._path:
            module = self._module(node)
            if node.all_input_nodes == [self._input] and isinstance(module, nn.Conv2d) and module.groups == 1:
                found[node.name] = AveragedConvolution(module)
        return found

    def run(self, features: Tensor) -> tuple[dict[fx.Node, Step], tuple[Tensor, ...]]:
        """Return every step at work, and the outputs."""
        values, steps = {self._input: features}, {}
        for node in self._steps:
            module = self._module(node)
            arguments, options = fx.map_arg((node.args, node.kwargs), values.__getitem__)
            if node.op == "call_method":
                values[node] = getattr(arguments[0], node.target)(*arguments[1:], **options)
            else:
                values[node] = (module or node.target)(*arguments, **options)
            steps[node] = Step(module, tuple(values[given] for given in node.all_input_nodes), values[node])
        return steps, tuple(values[node] for node in self._outputs)

    def mean_gradient(
        self, steps: dict[fx.Node, Step], features: Tensor, seed: Tensor, averaged: nn.ModuleDict
    ) -> Tensor:
        """Return the mean over positions of a score's gradient at the features, (n, d, 1, 1)."""
        gradients, means = {self._outputs[0]: seed}, []
        for node in reversed(self._path):
            given = gradients[node]
            if node.name in averaged:  # of what reaches the features only the mean counts
                means.append(averaged[node.name](given, features))
                continue
            for source, gradient in zip(node.all_input_nodes, self._rules[node](steps[node], given), strict=True):
                if source is self._input:
                    means.append(gradient.mean((2, 3), keepdim=True))
                elif source in self._rules:
                    gradients[source] = gradients[source] + gradient if source in gradients else gradient
        total = means[0]
        for mean in means[1:]:
            total = total + mean
        return total

    def _module(self, node: fx.Node) -> nn.Module | None:
        return self._modules[str(node.target)] if node.op == "call_module" else None

    def _behind(self) -> set[fx.Node]:
        """Everything that depends on the features."""
        found = {self._input}
        for node in self._steps:
            if found.intersection(node.all_input_nodes):
                found.add(node)
        return found

    def _before(self) -> set[fx.Node]:
        """Everything that the first output depends on."""
        found = {self._outputs[0]}
        for node in reversed(self._steps):
            if node in found:
                found.update(node.all_input_nodes)
        return found
