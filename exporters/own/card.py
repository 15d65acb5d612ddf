"""The card of a network that was trained elsewhere: what was measured here, what its maker tells, what nobody knows."""

from collections.abc import Iterator

import numpy as np

from ..markdown import markdown
from ..provider_parity import Parity
from .about import About, Examples
from .parts import Parts

__all__ = ["render"]

_CARD = """# {title}

`{name}` {version}, licence {licence}. A network of its user's own, made into a bundle on {date}.
**For research. Not a medical device; not for diagnosis.**

## What it is

{what}

## Examples

{examples}

## Measured on the examples

{figures}

## Parity

{pytorch}

{providers}
## Not known

{unknown}
{notes}"""
_GIVES = {
    "denoise": "Gives an image of the same size with less noise.",
    "super-resolution": "Gives an image of more rows and columns.",
    "detection": "Gives lesions with their probability.",
    "classification": "Gives the probability of each class.",
}


def render(parts: Parts, examples: Examples, about: About, network: tuple[str, int], providers: Parity) -> str:
    """Return the card in Markdown; every number in it was measured, or comes from the maker and is said to.

    Parameters
    ----------
    parts : Parts
        Everything else of the bundle.
    examples : Examples
        What stood for the training.
    about : About
        What the maker tells.
    network : tuple of (str, int)
        Name of its class in PyTorch, and its number of weights.
    providers : Parity
        Of every provider and precision of the machine that it was made on.
    """
    manifest = parts.manifest
    return _CARD.format(
        title=manifest.title,
        name=manifest.name,
        version=manifest.version,
        licence=manifest.licence,
        date=manifest.training.date,
        what=_listed(_what(parts, network)),
        examples=_listed(_examples(parts, examples)),
        figures=_figures(parts),
        pytorch=_pytorch(parts),
        providers=providers.table(ran_only=True),
        unknown=_listed(_unknown(parts, about)),
        notes=f"\n## Notes of its maker\n\n{about.notes.strip()}\n" if about.notes else "",
    )


def _what(parts: Parts, network: tuple[str, int]) -> Iterator[str]:
    manifest, (kind, weights) = parts.manifest, network
    taken = manifest.input
    yield f"{_GIVES[manifest.task]} For DICOM {' and '.join(manifest.modalities)}; pixel values in {taken.units}."
    yield f"`{kind}` of PyTorch with {weights} weights; {len(parts.model) / 1e6:.2f} MB as ONNX in float32."
    yield f"Rows and columns in multiples of {taken.multiple}, which the engine pads to."
    if taken.scaling == "robust":
        yield "Each frame is divided by its 99.5th percentile before the network."
    if manifest.output:
        kept = {"sum": "sum of counts", "mean": "mean", "none": "nothing"}[manifest.output.conserve]
        yield f"The engine keeps of each frame: {kept}. A tile is given {taken.overlap} px of context on each side."
    if manifest.analysis:
        yield f"Labels: {', '.join(manifest.analysis.labels)}. A finding counts from {manifest.analysis.threshold:g} on."
        yield f"Logits are divided by the temperature {manifest.analysis.temperature:g}."


def _examples(parts: Parts, examples: Examples) -> Iterator[str]:
    means = examples.images.mean(axis=(1, 2, 3), dtype=np.float64)
    held = len(examples) // 4 + (len(examples) % 4 > 1)
    yield f"{len(examples)} frames of {examples.matrix} px, with means from {means.min():.3g} to {means.max():.3g}."
    yield f"{held} of them, every fourth in the order of their means, are held out; they set the limits of the training domain."
    yield f"{len(parts.golden.input)} of the held-out ones are the golden tensors."


def _figures(parts: Parts) -> str:
    if not parts.figures:
        return "Nothing: no truth was given."
    return markdown(("figure", "value"), ((one.name, one.value) for one in parts.figures))


def _pytorch(parts: Parts) -> str:
    rows = (
        (one.engine, one.head or "image", "x".join(map(str, one.shape)), f"{one.absolute:.1e}", f"{one.relative:.1e}")
        for one in parts.parity
    )
    text = "The exported graph against the network in PyTorch (float32, CPU); differences are the largest ones.\n\n"
    return text + markdown(("engine", "output", "shape", "difference", "of the largest value"), rows)


def _unknown(parts: Parts, about: About) -> Iterator[str]:
    training = parts.manifest.training
    yield "Whether the examples were part of the training: what is measured on them may be too good."
    if not about.data:
        yield "What the network was trained on."
    if not about.date:
        yield "When it was trained; the date above is that of the export."
    if not training.steps or not training.seconds:
        yield "How long it was trained."
    if about.licence == "NOASSERTION":
        yield "The licence of the weights."
    if parts.manifest.analysis and not parts.figures:
        yield (
            "How often it is right; its probabilities are not calibrated."
            if about.temperature is None
            else "How often it is right."
        )
    yield "How it does on other scanners, protocols and patients than those of the examples."
    yield "Whether its output serves a reader, or a measurement."


def _listed(lines: Iterator[str]) -> str:
    return "\n".join(f"* {line}" for line in lines)
