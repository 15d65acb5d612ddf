"""The card of ``cxr-view``."""

from collections import Counter

from ...engine.bundle import Bundle
from ..recipes.analysis.radiograph_images import Radiograph
from .cxr_report import evidence_table, refusal_table, separation_table
from .cxr_study import SAME_COLLECTION, CxrReport

_CARD = """# {name}

{title}. Version {version}, {licence}. Input: a frontal chest radiograph, air dark. Output: probabilities of AP (source in front of the
patient, often in bed) and PA (source behind), a class activation map of each, and an embedding that tells other images apart.
It says how an image was taken and nothing about the patient. Not for diagnosis.

## Network

{networks} networks of about {weights:.0f} thousand weights on a grid of {side} x {side} pixels share a fixed first stage: local mean and
contrast are removed, edges are sorted by eight directions, pooled and divided by their local energy (histograms of oriented gradients,
Dalal and Triggs 2005). Grey levels, gain and offset do not get past it: 8-bit pictures and DICOM of 12 to 16 bits read alike. Each
network then has three levels of 3x3 convolutions, coordinates as further channels, and a gate that has learnt the thorax. Logits
are the mean over the networks; as the head is linear and pooled, the map is the exact Grad-CAM of that mean.

## Training

* Data: {data}. {table}
* Images that ask for attribution or share-alike stay with their authors: this bundle holds computed weights and figures and no image.
  Every image's own reference:
{references}
* Each image is turned, scaled, stretched, shifted, mirrored, cropped on each side by its own amount, blurred, made noisy, given another
  contrast, and covered in three places by boxes of the size of letters, so that burned-in text, borders and the detector's shape say
  nothing. All are brought to {side} px, which most of them have at most.
* The gate is taught where an automatic finder sees the thorax (engine/analysis/chest_regions.py), evidence outside of it is
  penalised, and images that are no frontal radiographs close it: frontal ones on a side, upside down, in negative or in shuffled tiles,
  clouds of noise, and **simulated** laterals of a digital thorax; no real lateral radiograph was at hand.
* {folds} folds that keep patients together and source and label in proportion; two networks for each fold, all of them in the bundle.
  {steps} steps, AdamW, {minutes:.0f} min of wall time, {date}.{note}

## Held-out images

Every image is judged by the networks that did not see its patient, which is a pair of the bundle's networks; the whole bundle cannot be
judged on images that it was trained on. Intervals of 95 %: DeLong for the AUC, bootstrap by patient for the balanced accuracy, which is
taken at equal probabilities. With a source left out, networks are trained on the others alone.

{separations}

The shape of the detector tells AP from PA perfectly within one source, where mobile images are all landscape, and means nothing
elsewhere: a model could live on it, and a peer on that alone is listed so that this shows. The same networks on images that were cropped
to squares, or whose corners with words and markers were covered, lose next to nothing. Expected calibration error of held-out
probabilities: {before:.3f} as they come, {after:.3f} with a temperature from the other folds. The bundle holds the temperature of all these logits, {temperature:.2f}, and
a threshold of {threshold:.2f} for PA (Youden's index), at which {sensitivity:.0%} of the PA and {specificity:.0%} of the AP images were called right; it was chosen
on the same images. Both come from pairs of networks: how well all {networks} together are calibrated is not known.

## Where the evidence lies

Share of the class activation of the chosen class in each of six regions: right and left (of the patient) of the midline, thirds of the
height of the lungs with a fifth more about them. Networks of the cross-validation on images that they did not see.

{evidence}

## What is refused

The verdict of the engine, on pixels and embedding together. Laterals and scintigraphy are simulated. Training showed other laterals of
the same digital thorax, and frontal images on a side, upside down and in negative; it showed no photograph, no scintigraphy and no
noise of single pixels.

{refusals}

## Where it ends

* {images} images of {sources} collections, {ap} of them AP. On a hospital that it has not seen, order is kept better than the threshold: see the
  rows with a source left out, where errors are mostly of one kind. Choose a threshold on own images.
* Real laterals, children and images of parts of the chest were not at hand: what the domain says of them is not known.
* A logistic regression on the same oriented gradients comes close (see the table); what the networks add is where to look, what to
  refuse, and a few hundredths.
* Diseases and supports that go with lying in bed (tubes, cables, opaque lungs) go with AP in the data too, and nothing here
  can tell a network that has learnt them from one that has learnt geometry, except the map.
"""


def render_cxr(bundle: Bundle, report: CxrReport, radiographs: tuple[Radiograph, ...], note: str = "") -> str:
    """Return the card, Markdown.

    Parameters
    ----------
    bundle : Bundle
        What was measured.
    report : CxrReport
        What was found.
    radiographs : tuple of Radiograph
        What it was trained on.
    note : str
        What else to say about the training.
    """
    manifest = bundle.manifest
    grid = manifest.input.grid
    before, after = report.calibration_error
    labels = Counter(one.label for one in radiographs)
    networks = 2 * report.folds
    analysis = manifest.analysis
    if analysis is None:
        raise ValueError(f"{manifest.name} gives no findings")
    _, sensitivity, false = min(analysis.operating_points, key=lambda point: abs(point[0] - analysis.threshold))
    return _CARD.format(
        name=manifest.name,
        title=manifest.title,
        version=manifest.version,
        licence=manifest.licence,
        networks=networks,
        weights=len(bundle.model) / 4e3 / networks,
        side=grid.side if grid else 0,
        data="; ".join(manifest.training.data),
        table=_counts(radiographs),
        references=_references(radiographs),
        folds=report.folds,
        steps=manifest.training.steps,
        minutes=manifest.training.seconds / 60,
        date=manifest.training.date,
        note=f" {note}" if note else "",
        separations=separation_table(report),
        before=before,
        after=after,
        temperature=report.temperature,
        evidence=evidence_table(report),
        refusals=refusal_table(report),
        images=report.images,
        sources=len({SAME_COLLECTION.get(one.source, one.source) for one in radiographs}),
        threshold=analysis.threshold,
        sensitivity=sensitivity,
        specificity=1 - false,
        ap=labels["AP"],
    )


def _counts(radiographs: tuple[Radiograph, ...]) -> str:
    """Return how many images of each class each source has."""
    counts = Counter((one.source, one.label) for one in radiographs)
    return (
        "; ".join(
            f"{source}: {counts[source, 'AP']} AP, {counts[source, 'PA']} PA"
            for source in sorted({s for s, _ in counts})
        )
        + "."
    )


def _references(radiographs: tuple[Radiograph, ...]) -> str:
    """Return each reference once, with its licences."""
    found: dict[str, set[str]] = {}
    for one in radiographs:
        found.setdefault(one.reference or f"{one.source}", set()).add(one.licence or "licence not stated")
    return "\n".join(f"  * {reference}: {', '.join(sorted(licences))}" for reference, licences in sorted(found.items()))
