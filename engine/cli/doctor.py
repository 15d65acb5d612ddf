"""``photopeak doctor``."""

import platform
import sys
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING

from .console import JsonOption, print_json, print_table

if TYPE_CHECKING:
    from ..providers import Provider, Target

_LIBRARIES = (
    "numpy",
    "onnx",
    "onnxruntime-gpu",
    "onnxruntime",
    "openvino",
    "tensorrt",
    "tensorrt-rtx",
    "pycuda",
    "numba",
    "pydicom",
    "torch",
)


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that works here, or the reason why it does not.

    Parameters
    ----------
    part : str
        Area, such as ``provider``.
    name : str
        What was looked at.
    works : bool
        Whether it can be used.
    detail : str
        Version, or the reason why not.
    """

    part: str
    name: str
    works: bool
    detail: str


def doctor(as_json: JsonOption = False) -> None:
    """Show what this machine has, what would run where, and why not.

    Example: photopeak doctor
    """
    findings = [*_machine(), *_native(), *_providers(), *_codecs(), *_models(), *_libraries()]
    if as_json:
        print_json(findings)
        return
    for part in dict.fromkeys(finding.part for finding in findings):
        rows = [(f.name, "yes" if f.works else "no", f.detail) for f in findings if f.part == part]
        print_table(part, ("", "works", "detail"), rows)


def _machine() -> list[Finding]:
    from ..machine import processor_name
    from ..processors import available_processors

    return [
        Finding("machine", "system", True, platform.platform()),
        Finding("machine", "processor", True, f"{processor_name()}, {available_processors()} usable"),
        Finding("machine", "python", True, sys.version.split()[0]),
    ]


def _native() -> list[Finding]:
    from .. import frame_operations

    build = frame_operations.build()
    gpu = frame_operations.cuda_problem()
    return [
        Finding("native code", "SIMD", True, build.simd),
        Finding("native code", "OpenMP", build.openmp, "compiled in" if build.openmp else "compiler had none"),
        Finding("native code", "CUDA", not gpu, gpu or "ready"),
    ]


def _providers() -> list[Finding]:
    from ..providers import PROVIDERS, Target

    return [
        _provider(provider, Target(kind, precision)) for provider in PROVIDERS for kind, precision in provider.offers
    ]


def _provider(provider: "Provider", target: "Target") -> Finding:
    from ..errors import PhotopeakError

    name = f"{provider.name} {target.precision} on {target.device}"
    try:
        version_found = provider.version()
        reason = provider.check(target)
    except PhotopeakError as error:
        return Finding("providers", name, False, str(error))
    except Exception as error:  # noqa: BLE001 - what a missing or broken library raises is what to show
        return Finding("providers", name, False, f"{type(error).__name__}: {error}")
    return Finding("providers", name, not reason, reason or version_found)


def _codecs() -> list[Finding]:
    from ..dicom.codecs import survey

    return [Finding("DICOM transfer syntaxes", codec.name, codec.readable, codec.detail) for codec in survey()]


def _models() -> list[Finding]:
    from ..errors import ModelError
    from ..zoo import load_bundle, names

    findings = []
    for name in names():
        try:
            bundle = load_bundle(name)
            detail = f"{bundle.manifest.version}, {bundle.digest[:12]}{_measured(bundle.digest)}"
            findings.append(Finding("models", name, True, detail))
        except ModelError as error:
            findings.append(Finding("models", name, False, str(error)))
    return findings


def _measured(digest: str) -> str:
    """Return for which matrices the fastest plan of a model is known."""
    from ..tuned import cells, key_of

    matrices = dict.fromkeys(str(cell.matrix) for cell in cells(key_of(digest)))
    return f", plans measured for {', '.join(matrices)}" if matrices else ", plans not measured"


def _libraries() -> list[Finding]:
    findings = []
    for name in _LIBRARIES:
        try:
            findings.append(Finding("libraries", name, True, version(name)))
        except PackageNotFoundError:
            findings.append(Finding("libraries", name, False, "not installed"))
    return findings
