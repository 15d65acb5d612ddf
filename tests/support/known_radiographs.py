"""Folders of radiographs, as the collections of real ones are laid out."""

import csv
from collections.abc import Sequence
from io import StringIO
from pathlib import Path

import numpy as np
from skimage.io import imsave

from photopeak.exporters.recipes.analysis.radiograph_images import Radiograph


def write_radiographs(folder: Path, radiographs: Sequence[Radiograph]) -> None:
    """Write radiographs as `read_radiographs` reads them; grey values are spread from 0 to 255."""
    table = StringIO()
    writer = csv.writer(table)
    writer.writerow(["file", "label", "source", "patient", "licence", "ref"])
    for number, one in enumerate(radiographs):
        name = f"{number:04d}.png"
        spread = np.ptp(one.pixels) or 1.0
        folder.mkdir(parents=True, exist_ok=True)
        grey = np.rint((one.pixels - one.pixels.min()) * (255 / spread)).astype(np.uint8)
        imsave(folder / name, grey, check_contrast=False)
        writer.writerow([name, one.label, one.source, one.patient, one.licence, one.reference])
    (folder / "labels.csv").write_text(table.getvalue())
