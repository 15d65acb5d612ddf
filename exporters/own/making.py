"""One call from a network to a checked bundle."""

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

from pydantic import ValidationError

from ...engine.bundle import Bundle, open_bundle, write_bundle
from ...engine.errors import ModelError, UsageError
from ...engine.manifest import ANALYSES
from ...engine.validation import Check, validate
from ..new_folder import new_folder, require_new
from ..provider_parity import Parity, compare_providers
from .about import About, Task, examples_of

if TYPE_CHECKING:
    from torch import nn

    from ..parity import Difference

__all__ = ["Own", "to_bundle"]

LEAST_IMAGES, LEAST_FINDINGS = 8, 16
_NAME = re.compile("[a-z0-9]+(-[a-z0-9]+)*")


@dataclass(frozen=True, eq=False)
class Own:
    """A bundle of a network of one's own, and what was found out while it was made.

    Parameters
    ----------
    bundle : Bundle
        Opened again after it was written.
    parity : tuple of Difference
        Of the exported graph and the network in PyTorch.
    providers : Parity
        Of every provider and precision of this machine and the golden tensors.
    checks : tuple of Check
        Those of ``photopeak validate``; none has failed.
    """

    bundle: Bundle
    parity: "tuple[Difference, ...]"
    providers: Parity
    checks: tuple[Check, ...]


def to_bundle(
    module: "nn.Module",
    example: Any,
    *,
    task: Task,
    output: Path | str,
    truth: Any = None,
    about: About | None = None,
    tell: Callable[[str], None] = lambda doing: None,
) -> Own:
    """Make a checked bundle of a network of your own.

    Parameters
    ----------
    module : nn.Module
        The trained network; it is copied, not changed. Images: (n, 1, rows, columns) to (n, 1, s * rows, s * columns) with s of
        1, 2 or 4. Findings: the heads of :data:`photopeak.engine.manifest.HEADS`, or the methods ``features(image)`` and
        ``head(features)``, from which evidence maps and embeddings are derived.
    example : Frames, array or tensor
        Images of the kind that it was trained on, before any scaling, of shape (n, rows, columns) or
        (n, channels, rows, columns): 8 or more of networks that give images, 16 or more of others, better hundreds. Every
        fourth one is held out for golden tensors and the limits of the training domain.
    task : {"denoise", "super-resolution", "detection", "classification"}
        What it does.
    output : Path
        Folder of the bundle; not there yet, or empty.
    truth : Frames, array or tensor
        Images: what should ideally come out for each example, in the same units; needed. Classification: the number of each
        example's class, to calibrate probabilities; may be left out. Detection: nothing.
    about : About
        What only you know: name, licence, units, data; the card says of what is left out that it is not known.
    tell : callable
        Told what is being done.

    Returns
    -------
    Own
        The bundle, and its parity with PyTorch and with every provider and precision of this machine.

    Raises
    ------
    InputError
        If examples and truth do not fit each other or the network, or the place is taken.
    ModelError
        If the network cannot be exported, its graph computes something else, or a check of the bundle fails.
    UsageError
        If something is left out that nobody else can know.

    References
    ----------
    * Guo, C. et al. (2017). On calibration of modern neural networks. ICML. (The temperature of classifications.)
    * Mitchell, M. et al. (2019). Model cards for model reporting. Proc. FAT*.

    Examples
    --------
    >>> import numpy as np, pytest
    >>> torch = pytest.importorskip("torch")
    >>> _ = torch.manual_seed(0)
    >>> net = torch.nn.Conv2d(1, 1, 3, padding=1, padding_mode="reflect", bias=False)
    >>> _ = net.weight.data.fill_(1 / 9)
    >>> rng = np.random.default_rng(0)
    >>> truth = np.ones((12, 64, 64)) * rng.uniform(5, 50, (12, 1, 1))
    >>> made = to_bundle(net, rng.poisson(truth), truth=truth, task="denoise", output=getfixture("tmp_path") / "mean-filter")
    >>> made.bundle.manifest.input.overlap, made.bundle.manifest.image_output.conserve
    (1, 'sum')
    """
    if task not in get_args(Task):
        raise UsageError(f"{task!r} is not a task; use {', '.join(get_args(Task))}.")
    output = Path(output)
    require_new(output)
    told = about or About()
    about = replace(told, name=_name(told, output))
    findings = task in ANALYSES
    examples = examples_of(example, about, LEAST_FINDINGS if findings else LEAST_IMAGES)
    from .card import render
    from .findings import parts_of_findings
    from .images import parts_of_image
    from .probe import frozen

    tell("exporting the graph")
    make = parts_of_findings if findings else parts_of_image
    try:
        parts = make(frozen(module), examples, truth, about, about.name, task)
    except ValidationError as error:
        problem = error.errors()[0]
        where = ".".join(map(str, problem["loc"])) or "manifest"
        raise UsageError(f"{where}: {problem['msg']} (got {problem['input']!r:.60}); name it in about.") from error
    with new_folder(output) as folder:
        parts_of_file: dict[str, Any] = {"model": parts.model, "golden": parts.golden, "calibration": parts.calibration}
        draft = write_bundle(folder, parts.manifest, card=f"# {about.name}\n", **parts_of_file)
        providers = compare_providers(draft, tell=tell)
        network = type(module).__qualname__, sum(weight.numel() for weight in module.parameters())
        card = render(parts, examples, about, network, providers)
        write_bundle(folder, parts.manifest, card=card, **parts_of_file)
        tell("checking the bundle")
        checks = tuple(validate(folder))
        if failed := [check for check in checks if check.passed is False]:
            first = failed[0]
            raise ModelError(
                f"{about.name}: the check {first.name!r} of the bundle fails ({first.detail.rstrip('.')})."
            )
    bundle = open_bundle(output)
    # The card came after the comparison; the graphs and golden tensors are the same.
    return Own(bundle, parts.parity, replace(providers, digest=bundle.digest), checks)


def _name(about: About, output: Path) -> str:
    name = about.name or output.name
    if not _NAME.fullmatch(name):
        raise UsageError(f"{name!r} is no name for a bundle; use small letters, digits and single hyphens.")
    return name
