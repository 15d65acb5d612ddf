"""Packages of npm, pinned by their digests: found in a folder or the cache, else asked for by npm itself."""

import base64
import hashlib
import io
import shutil
import subprocess
import tarfile
import tempfile
from dataclasses import dataclass
from pathlib import Path

from ...engine.errors import InputError, UsageError
from ...engine.files import atomic_write
from ...kernels import user_cache

__all__ = [
    "DICOM_PARSER",
    "ONNX_RUNTIME",
    "OPENJPEG",
    "PACKAGES",
    "Package",
    "cache_folder",
    "find",
    "members",
]

_LARGEST_ARCHIVE = 128 << 20
_LARGEST_FILE = 64 << 20
_SECONDS = 600


@dataclass(frozen=True, slots=True)
class Package:
    """One version of a package.

    Parameters
    ----------
    name, version : str
        As npm knows them.
    integrity : str
        SHA-512 of its archive as npm writes it: ``sha512-`` and base64.

    Examples
    --------
    >>> Package("@scope/codec", "1.3.6", "sha512-...").archive
    'scope-codec-1.3.6.tgz'
    """

    name: str
    version: str
    integrity: str

    @property
    def archive(self) -> str:
        """Name of the file that ``npm pack`` writes."""
        return f"{self.name.removeprefix('@').replace('/', '-')}-{self.version}.tgz"


ONNX_RUNTIME = Package(
    "onnxruntime-web",
    "1.30.0",
    "sha512-q0y+JrrtukXSzsBWEMccVfqX25LRmosXHF+CaRJmg8pZClzcV7svNc4rKY3jL02Vb7QmRMDs1SigqR4CXAfKYQ==",
)
DICOM_PARSER = Package(
    "dicom-parser",
    "1.8.21",
    "sha512-lYCweHQDsC8UFpXErPlg86Px2A8bay0HiUY+wzoG3xv5GzgqVHU3lziwSc/Gzn7VV7y2KeP072SzCviuOoU02w==",
)
OPENJPEG = Package(
    "@cornerstonejs/codec-openjpeg",
    "1.3.6",
    "sha512-bSdZXF+2GxfBkWHUr7yGLQtIwbAm9wOl3e4ARee/9Z9lfKyVqhUCixI6+ZjIn9YKTIuDcn/NZNK94XEUg1SBtw==",
)
PACKAGES = (ONNX_RUNTIME, DICOM_PARSER, OPENJPEG)


def cache_folder() -> Path:
    """Return the folder that verified archives are kept in; it need not exist."""
    return user_cache.cache_folder("npm")


def find(package: Package, folder: Path | None = None) -> bytes:
    """Return the archive of a package, after its digest was compared.

    Parameters
    ----------
    package : Package
        What is wanted.
    folder : Path, optional
        Where the archive lies; without it the cache is looked into, and then ``npm pack`` fetches it.

    Returns
    -------
    bytes
        The archive, a tar file in gzip.

    Raises
    ------
    InputError
        If the archive in `folder` is missing or another one than the pinned.
    UsageError
        If npm is needed but is not installed or cannot fetch the package, or the cache cannot be written.
    """
    if folder is not None:
        return _verified(package, folder / package.archive)
    kept = cache_folder() / package.archive
    try:
        return _verified(package, kept)
    except InputError:  # not there yet, or damaged
        content = _fetched(package)
    try:
        with atomic_write(kept) as file:
            file.write(content)
    except OSError as error:
        raise UsageError(
            f"{kept.parent} cannot be written ({error.strerror}); name a cache folder of yours in PHOTOPEAK_CACHE_DIR."
        ) from error
    return content


def members(content: bytes, names: tuple[str, ...]) -> dict[str, bytes]:
    """Return the named files of an archive; nothing is unpacked to a disk.

    Parameters
    ----------
    content : bytes
        From :func:`find`.
    names : tuple of str
        Paths inside of the package, such as ``dist/ort.wasm.min.mjs``.

    Returns
    -------
    dict of str to bytes
        In the order of `names`.

    Raises
    ------
    InputError
        If one is missing, is no plain file, or is larger than 64 MiB.
    """
    found: dict[str, bytes] = {}
    with tarfile.open(fileobj=io.BytesIO(content), mode="r:gz") as archive:
        for member in archive:
            name = member.name.removeprefix("package/")
            if name in names and member.isreg() and member.size <= _LARGEST_FILE:
                file = archive.extractfile(member)
                found[name] = file.read() if file else b""
    if missing := [name for name in names if name not in found]:
        raise InputError(
            f"The package holds no plain file {missing[0]} of at most {_LARGEST_FILE} bytes; get it again."
        )
    return {name: found[name] for name in names}


def _verified(package: Package, path: Path) -> bytes:
    """Return the content of a file that has the digest of a package."""
    try:
        if path.stat().st_size > _LARGEST_ARCHIVE:
            raise InputError(f"{path} is larger than {_LARGEST_ARCHIVE} bytes; get {_wanted(package)} again.")
        content = path.read_bytes()
    except OSError as error:
        raise InputError(f"{path} cannot be read ({error.strerror}); get {_wanted(package)}.") from error
    digest = "sha512-" + base64.b64encode(hashlib.sha512(content).digest()).decode()
    if digest != package.integrity:
        raise InputError(f"{path} has the digest {digest[:24]}..., not that of {_wanted(package)}; get it again.")
    return content


def _wanted(package: Package) -> str:
    return f"{package.name} {package.version} (npm pack {package.name}@{package.version})"


def _fetched(package: Package) -> bytes:
    """Return an archive that npm fetches; npm looks up where from, as it is configured."""
    npm = shutil.which("npm")
    if npm is None:
        raise UsageError(
            f"{_wanted(package)} is not here and npm is not installed; install Node.js, or name a folder with the archives."
        )
    with tempfile.TemporaryDirectory() as folder:
        command = [npm, "pack", f"{package.name}@{package.version}", "--ignore-scripts", "--pack-destination", folder]
        try:
            done = subprocess.run(
                command,
                cwd=folder,
                capture_output=True,
                text=True,
                timeout=_SECONDS,
                check=False,
                stdin=subprocess.DEVNULL,
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise UsageError(f"npm could not fetch {_wanted(package)} ({error}); name a folder with it.") from error
        if done.returncode:
            problem = " ".join(done.stderr.split())[-300:]
            raise UsageError(f"npm could not fetch {_wanted(package)} ({problem}); name a folder with the archives.")
        return _verified(package, Path(folder) / package.archive)
