"""What a bioimage.io package says and shows: title, description, documentation, citations, cover."""

import io
import re
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ..engine.bundle import Bundle
from ..engine.errors import ModelError
from ..engine.frames import Units

__all__ = ["citations", "cover", "description", "documentation", "title"]

Tensor = NDArray[np.float32]
_SIDE = 320
_QUANTILE = 0.998
_ANSCOMBE = (
    "Anscombe, F. J. (1948). The transformation of Poisson, binomial and negative-binomial data. Biometrika 35, 246-254.",
    "10.1093/biomet/35.3-4.246",
)
_UNET = (
    "Ronneberger, O., Fischer, P. and Brox, T. (2015). U-Net: convolutional networks for biomedical image segmentation. MICCAI.",
    "10.1007/978-3-319-24574-4_28",
)
_SRCNN = (
    "Dong, C. et al. (2016). Image super-resolution using deep convolutional networks. IEEE TPAMI 38, 295-307.",
    "10.1109/TPAMI.2015.2439281",
)
_SRGAN = (
    "Ledig, C. et al. (2017). Photo-realistic single image super-resolution using a generative adversarial network. CVPR.",
    "10.1109/CVPR.2017.19",
)
_REPVGG = (
    "Ding, X. et al. (2021). RepVGG: making VGG-style ConvNets great again. CVPR.",
    "10.1109/CVPR46437.2021.01352",
)
_KEYS = (
    "Keys, R. G. (1981). Cubic convolution interpolation for digital image processing. IEEE Trans. Acoust. 29, 1153-1160.",
    "10.1109/TASSP.1981.1163711",
)
_CAM = (
    "Zhou, B. et al. (2016). Learning deep features for discriminative localization. CVPR.",
    "10.1109/CVPR.2016.319",
)
_GRAD_CAM = (
    "Selvaraju, R. R. et al. (2017). Grad-CAM: visual explanations from deep networks via gradient-based localization. ICCV.",
    "10.1109/ICCV.2017.74",
)
# What the network of a recipe is built after; that for CT follows no paper.
_CITED = {
    "scint-denoise": (_ANSCOMBE, _UNET),
    "scint-sr-x2": (_ANSCOMBE, _UNET),
    "pet-denoise": (_ANSCOMBE, _UNET),
    "pet-sr-x2": (_ANSCOMBE, _UNET),
    "pet-sr-x2-fast": (_ANSCOMBE, _REPVGG, _KEYS),
    "pet-sr-x2-srcnn": (_SRCNN,),
    "pet-sr-x2-srgan": (_SRGAN,),
    "bone-classify": (_UNET, _CAM, _GRAD_CAM),
    "parathyroid-detect": (_ANSCOMBE, _GRAD_CAM),
    "cxr-view": (_CAM,),
}


def title(bundle: Bundle) -> str:
    """Return the name of the package: the model's title in the letters that names may have there."""
    manifest = bundle.manifest
    return re.sub(r"[^A-Za-z0-9_+\- ()]", " ", f"{manifest.title} ({manifest.name})")[:64].strip()


def description(bundle: Bundle) -> str:
    """Return what the model does, in two sentences."""
    manifest = bundle.manifest
    return f"{manifest.title}, for DICOM {' and '.join(manifest.modalities)}. For research; not for diagnosis."


def citations(bundle: Bundle) -> tuple[tuple[str, str], ...]:
    """Return text and DOI of what the network is built after; none for recipes that are not ours."""
    return _CITED.get(bundle.manifest.training.recipe, ())


def documentation(bundle: Bundle) -> str:
    """Return the documentation: how to run the package, what its graph does by itself, and the model card.

    Parameters
    ----------
    bundle : Bundle
        The model.

    Returns
    -------
    str
        Markdown.
    """
    manifest = bundle.manifest
    card = re.sub(r"^#", "##", bundle.card.strip(), flags=re.MULTILINE)
    around = _around_image(bundle) if manifest.output else _around_findings(bundle)
    return "\n".join(
        [
            f"# {manifest.title}",
            "",
            f"The Photopeak bundle `{manifest.name}` {manifest.version}, SHA-256 `{bundle.digest}`, as a complete ONNX graph.",
            "**For research. Not a medical device; not for diagnosis.**",
            "",
            "## Running it",
            "",
            *[f"* {line}" for line in around],
            "",
            "## Validation",
            "",
            "The model card below tells on which held-out images the model was measured, against what, and where it fails. To",
            "validate it on images of your own, compare its output with an acquisition of more counts of the same object.",
            "",
            card,
            "",
        ]
    )


def _around_image(bundle: Bundle) -> list[str]:
    taken, kept = bundle.manifest.input, bundle.manifest.image_output
    values = {
        Units.COUNTS: "counts per pixel as acquired, neither scaled nor smoothed; negative ones are taken as 0",
        Units.BECQUEREL_PER_ML: "Bq/ml; in Fiji apply Rescale Slope and Intercept of the DICOM header first",
        Units.HOUNSFIELD: "Hounsfield units; in Fiji apply Rescale Slope and Intercept of the DICOM header first",
    }.get(taken.units, "pixel values")
    lines = [
        f"Input: single planes as 32-bit float, {values}.",
        f"Rows and columns must be multiples of {taken.multiple}; extend other sizes by mirroring at the right and lower edge.",
    ]
    whole = []
    if taken.scaling == "robust":
        lines.append("The graph divides each plane by its 99.5th percentile and multiplies the output by it.")
        whole.append("scaled by its own percentile")
    if kept.conserve != "none":
        quantity = "the sum (total counts)" if kept.conserve == "sum" else "the mean"
        lines.append(f"The graph gives the output {quantity} of the input.")
        whole.append(f"given its own {kept.conserve}")
        if taken.multiple > 1:
            lines.append(
                f"Of an extended plane that is the {kept.conserve} of the extension too: crop the output, and scale it to the "
                f"{kept.conserve} of the input that was not extended."
            )
    if whole:
        lines.append(f"Run a plane as one tile: each of several tiles would be {' and '.join(whole)}.")
    if kept.scale > 1:
        lines.append(f"The output has {kept.scale} times the rows and columns; divide the pixel size by {kept.scale}.")
    return lines


def _around_findings(bundle: Bundle) -> list[str]:
    taken, analysis = bundle.manifest.input, bundle.manifest.analysis
    if analysis is None or taken.grid is None:
        raise ModelError(f"{bundle.name} gives neither images nor findings; export the bundle again.")
    grid = {
        "pitch": f"the whole field resampled to {taken.grid.pitch_mm} mm per pixel with its counts kept, zeros around it",
        "fit": f"the longest side resampled to {taken.grid.side} pixels, padded to a square",
        "thorax": f"{taken.grid.side} pixels of {taken.grid.pitch_mm} mm about the ribs of a bone scan",
    }[taken.grid.kind]
    lines = [
        f"Input: {' and '.join(taken.channels) or 'one image'} on the model's grid: {grid}. `photopeak run` makes it from DICOM.",
        f"Labels: {', '.join(analysis.labels)}.",
        f"Divide scores by the temperature {analysis.temperature:g} before the sigmoid or softmax.",
        f"A finding counts from a probability of {analysis.threshold:g} on.",
        "Photopeak alone judges whether an image is like those of training; nothing else warns where the model cannot judge.",
    ]
    if taken.scaling == "robust":
        lines.append("Each image is divided by its 99.5th percentile before it is padded.")
    if taken.optional:
        lines.append("A channel that is missing is all zeros; one must be there.")
    return lines


def cover(tensors: Mapping[str, Tensor]) -> bytes:
    """Return a picture, twice as wide as high: the test input, and the output or the evidence beside it.

    Parameters
    ----------
    tensors : mapping of str to ndarray, shape (1, channels, rows, columns), float32
        ``input``, and ``output`` or ``cam``.

    Returns
    -------
    bytes
        PNG.
    """
    sheet = Image.new("L", (2 * _SIDE, _SIDE), 255)
    shown = (tensors["input"], tensors.get("output", tensors.get("cam", tensors["input"])))
    for k, tensor in enumerate(shown):
        sheet.paste(_picture(tensor[0, 0]), (k * _SIDE, 0))
    stream = io.BytesIO()
    sheet.save(stream, "PNG", optimize=True)
    return stream.getvalue()


def _picture(plane: Tensor) -> Image.Image:
    """Return a plane as dark on white, as large as fits a square."""
    low, high = float(plane.min()), float(np.quantile(plane, _QUANTILE))
    levels = np.rint(255 - 255 * np.clip((plane - low) / max(high - low, 1e-12), 0, 1)).astype(np.uint8)
    scale = _SIDE / max(levels.shape)
    size = tuple(max(1, round(scale * side)) for side in reversed(levels.shape))
    square = Image.new("L", (_SIDE, _SIDE), 255)
    square.paste(Image.fromarray(levels).resize((size[0], size[1]), Image.Resampling.BICUBIC))
    return square
