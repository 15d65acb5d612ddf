"""Voxel phantoms: planar images of voxelised activity and attenuation, and readers for the shared collections."""

import gzip
import re
import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import affine_transform, rotate

from .camera import WATER_140KEV_PER_MM, Camera, detect
from .volumes import Volume


@dataclass(frozen=True)
class VoxelPhantom:
    """Activity on a grid.

    Parameters
    ----------
    name : str
        Where it comes from.
    activity : ndarray, shape (planes, rows, columns), float32
        Emission density; axes are depth (z), cranio-caudal (y), lateral (x).
    body : ndarray, same shape, bool or float32
        True where the object attenuates, or how much, relative to water.
    voxel_mm : tuple of float
        Voxel size along z, y, x [mm].
    """

    name: str
    activity: NDArray[np.float32]
    body: NDArray[np.bool_] | NDArray[np.float32]
    voxel_mm: tuple[float, float, float]


def project_voxels(
    phantom: VoxelPhantom, camera: Camera, degrees: float = 0.0, attenuation_per_mm: float = WATER_140KEV_PER_MM
) -> NDArray[np.float32]:
    """Return the noise-free planar image of a voxel phantom turned about its long axis.

    Parameters
    ----------
    phantom : VoxelPhantom
        The object.
    camera : Camera
        Matrix, resolution and scatter; the phantom's centre appears at the centre of the matrix, and the gap ends at
        the first plane that emits.
    degrees : float
        Angle about the long axis; 0 looks at the first plane.
    attenuation_per_mm : float
        Linear attenuation coefficient inside the body [1/mm].

    Returns
    -------
    ndarray, shape (rows, columns), float32
        Expected counts per pixel.

    Examples
    --------
    >>> ball = np.zeros((9, 9, 9), np.float32)
    >>> ball[4, 4, 4] = 1
    >>> phantom = VoxelPhantom("point", ball, ball > 0, (4.0, 4.0, 4.0))
    >>> image = project_voxels(phantom, Camera(shape=(64, 64), scatter_fraction=0.0), attenuation_per_mm=0.0)
    >>> bool(abs(image.sum() / 4.0**3 - 1) < 0.02)
    True
    """
    depth_mm = phantom.voxel_mm[0]
    activity, body = phantom.activity, phantom.body.astype(np.float32)
    if degrees == 180.0:
        activity, body = activity[::-1, :, ::-1], body[::-1, :, ::-1]
    elif degrees:
        activity = rotate(activity, degrees, axes=(0, 2), reshape=True, order=1)
        body = rotate(body, degrees, axes=(0, 2), reshape=True, order=1)
    path = (np.cumsum(body, axis=0) - body / 2) * depth_mm
    seen = activity * np.exp(-attenuation_per_mm * path) * np.prod(phantom.voxel_mm)
    occupied = np.flatnonzero(seen.any(axis=(1, 2)))
    step = max(round(12.0 / depth_mm), 1)
    first = int(occupied[0]) if len(occupied) else 0
    groups = [seen[k : k + step].sum(axis=0) for k in range(first, len(seen), step)]
    planes = np.stack([_resample(plane, phantom.voxel_mm[1:], camera) for plane in groups])
    distances = np.asarray((np.arange(len(planes)) + 0.5) * step * depth_mm + camera.gap_mm, np.float64)
    return np.maximum(detect(planes, distances, camera), 0)


def of_volume(volume: Volume) -> VoxelPhantom:
    """Return a drawn volume as a phantom that an anterior detector sees.

    Examples
    --------
    >>> from .volumes import Grid, uniform_cylinder
    >>> of_volume(uniform_cylinder(Grid((6, 8, 10), 20.0))).activity.shape
    (8, 6, 10)
    """
    activity, attenuation = (part.transpose(1, 0, 2)[:, ::-1] for part in (volume.activity, volume.attenuation))
    relative = np.asarray(attenuation / WATER_140KEV_PER_MM, np.float32)
    return VoxelPhantom(volume.name, np.ascontiguousarray(activity), relative, (volume.voxel_mm,) * 3)


def load_voxel_phantoms(folder: Path) -> list[VoxelPhantom]:
    """Read every voxel phantom of the shared collections that is present.

    Parameters
    ----------
    folder : Path
        Folder that holds ``benauer_phantoms``, ``stir`` or ``brainweb_kul``; none is required.

    Returns
    -------
    list of VoxelPhantom
        In a fixed order; empty where the folder holds none of them.

    Examples
    --------
    >>> load_voxel_phantoms(Path("no such folder"))
    []
    """
    found = [reader(folder / name) for name, reader in _SOURCES if (folder / name).exists()]
    return [phantom for group in found for phantom in group]


def _benauer(path: Path) -> list[VoxelPhantom]:
    """Interfile source images inside a zip archive."""
    phantoms = []
    with zipfile.ZipFile(path) as archive:
        for name in sorted(archive.namelist()):
            low = name.lower()
            if not low.endswith(".h33") or "__macosx" in low or "atn" in low or "attn" in low or "attenuation" in low:
                continue
            header = _interfile_keys(archive.read(name).decode("latin1"))
            data = name[: name.rindex("/") + 1] if "/" in name else ""
            raw = archive.read(data + header["name of data file"])
            phantoms.append(_from_interfile(Path(name).stem, header, raw))
    return phantoms


def _stir(path: Path) -> list[VoxelPhantom]:
    """STIR thorax: FDG image of float32."""
    header = _interfile_keys((path / "FDG_g1.hv").read_text("latin1"))
    return [_from_interfile("stir-thorax", header, gzip.decompress((path / "FDG_g1.v.gz").read_bytes()))]


def _brainweb(path: Path) -> list[VoxelPhantom]:
    """BrainWeb labels as perfusion: grey matter 4, white matter 1, the rest of the head 0.2."""
    labels = _labels(path)[::2, ::2, ::2]
    activity = np.select([labels == 2, labels == 3, labels > 3], [4.0, 1.0, 0.2]).astype(np.float32)
    volume = np.transpose(activity, (1, 0, 2))[::-1, ::-1]
    return [VoxelPhantom("brainweb", volume, volume > 0, (1.0, 1.0, 1.0))]


def brainweb_labels(folder: Path) -> NDArray[np.uint8] | None:
    """Return the tissue of each voxel of 0.5 mm of a real head, shape (planes, rows, columns); None where it is absent.

    Planes are transverse, from the neck upwards. 1 is fluid, 2 grey matter, 3 white matter, 7 and 11 bone.
    """
    path = next((folder / name for name, reader in _SOURCES if reader is _brainweb), folder)
    return _labels(path) if path.is_file() else None


def _labels(path: Path) -> NDArray[np.uint8]:
    """Read the labels of BrainWeb."""
    import nibabel

    image = nibabel.load(path)
    return np.rint(np.asarray(image.dataobj)).astype(np.uint8)  # type: ignore[attr-defined]


def _from_interfile(name: str, keys: dict[str, str], raw: bytes) -> VoxelPhantom:
    """Turn an interfile volume (slices, rows, columns) into depth, cranio-caudal, lateral order."""
    columns, rows = int(keys["matrix size [1]"]), int(keys["matrix size [2]"])
    kind = (
        np.dtype("<f4")
        if "float" in keys["number format"]
        else np.dtype(f"<u{keys.get('number of bytes per pixel', '2')}")
    )
    data = np.frombuffer(raw, kind)
    slices = data.size // (rows * columns)
    volume = data[: slices * rows * columns].reshape(slices, rows, columns).astype(np.float32)
    x = _number(keys.get("scaling factor (mm/pixel) [1]", "1"))
    y = _number(keys.get("scaling factor (mm/pixel) [2]", str(x)))
    z = _number(keys.get("scaling factor (mm/pixel) [3]", keys.get("slice thickness (pixels)", str(x))))
    activity = np.ascontiguousarray(np.transpose(volume, (1, 0, 2)))
    inside = activity > 0.01 * activity.max()
    return VoxelPhantom(name, activity, inside, (y, z, x))


def _number(text: str) -> float:
    """Read a number; some writers leave out the letter of the exponent ("+2.000000+00")."""
    return float(re.sub(r"(?<=\d)([+-]\d+)$", r"e\1", text.strip()))


def _interfile_keys(text: str) -> dict[str, str]:
    """Parse 'key := value' lines; keys in lower case without the leading mark."""
    pairs = (line.split(":=", 1) for line in text.splitlines() if ":=" in line)
    return {key.strip().lstrip("!").strip().lower(): value.strip() for key, value in pairs}


def _resample(plane: NDArray[np.float32], voxel_mm: tuple[float, ...], camera: Camera) -> NDArray[np.float32]:
    """Put a plane of counts per voxel on the camera's pixels, keeping the sum."""
    ratio = np.array([camera.pixel_mm / voxel_mm[0], camera.pixel_mm / voxel_mm[1]])
    centre_in = (np.array(plane.shape) - 1) / 2
    centre_out = (np.array(camera.shape) - 1) / 2
    offset = centre_in - ratio * centre_out
    moved = affine_transform(plane, np.diag(ratio), offset, output_shape=camera.shape, order=1, mode="constant")
    total = moved.sum()
    inside = plane.sum() if np.all(np.array(plane.shape) <= ratio * np.array(camera.shape)) else total * ratio.prod()
    return np.asarray(moved * (inside / total if total > 0 else 0.0), np.float32)


_SOURCES = (
    ("benauer_phantoms/Brain_Perfusion_phantom.zip", _benauer),
    ("benauer_phantoms/DaT_phantom.zip", _benauer),
    ("benauer_phantoms/Defrise_phantom.zip", _benauer),
    ("benauer_phantoms/Derenzo_phantoms.zip", _benauer),
    ("benauer_phantoms/Fillable_Jaszczak.zip", _benauer),
    ("benauer_phantoms/Glioblastoma_phantom.zip", _benauer),
    ("benauer_phantoms/Jaszczak_phantom.zip", _benauer),
    ("benauer_phantoms/patient_LuDOTATATE_phantoms.zip", _benauer),
    ("stir/thorax3d", _stir),
    ("brainweb_kul/subject04_crisp_v.mnc.gz", _brainweb),
)
