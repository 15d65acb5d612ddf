"""What a process has taken of the memory."""

import sys
from pathlib import Path

__all__ = ["peak_bytes", "resident_bytes"]

STATUS = Path("/proc/self/status")


def peak_bytes(status: Path = STATUS) -> int:
    """Return the most memory that this process has had resident [bytes]; 0 where the system does not tell."""
    if status.exists():
        return _field(status, "VmHWM")
    if sys.platform == "win32":
        return 0
    import resource

    # Only Linux hands a parent's peak on to its children, and it is read above; macOS counts in bytes.
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def resident_bytes(status: Path = STATUS) -> int:
    """Return the memory that this process has resident [bytes]; 0 where the system does not tell."""
    return _field(status, "VmRSS") if status.exists() else 0


def _field(status: Path, name: str) -> int:
    """Return a field of /proc/self/status, which counts in kibibytes."""
    lines = dict(line.split(":", 1) for line in status.read_text().splitlines() if ":" in line)
    return int(lines[name].split()[0]) * 1024
