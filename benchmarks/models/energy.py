"""Energy that the processor has used, where the system tells: RAPL, by way of Linux' powercap.

References
----------
* H. David et al., RAPL: memory power estimation and capping, ISLPED 2010.
* Linux kernel, Documentation/power/powercap.
"""

from pathlib import Path

__all__ = ["EnergyMeter"]

POWERCAP = Path("/sys/class/powercap")


class EnergyMeter:
    """Counters of all processor packages; of the whole machine, whatever runs on it.

    Parameters
    ----------
    folder : Path
        Where powercap is mounted.

    Examples
    --------
    >>> EnergyMeter(Path("no-such-folder")).reason
    'this system has no RAPL counters (no-such-folder)'
    """

    def __init__(self, folder: Path = POWERCAP) -> None:
        # intel-rapl:0 is a package, intel-rapl:0:0 a part of it; the name is Intel's, AMD's processors have it too.
        zones = sorted(path for path in folder.glob("intel-rapl:*") if path.name.count(":") == 1)
        self._zones = [zone for zone in zones if _readable(zone / "energy_uj")]
        self.reason = ""
        if not zones:
            self.reason = f"this system has no RAPL counters ({folder})"
        elif not self._zones:
            self.reason = f"RAPL counters in {folder} may be read by the administrator only"

    def read(self) -> tuple[int, ...]:
        """Return the counter of each package [uJ]."""
        return tuple(int((zone / "energy_uj").read_text()) for zone in self._zones)

    def joules(self, before: tuple[int, ...], after: tuple[int, ...]) -> float | None:
        """Return the energy between two readings less than a wrap of the counters apart [J]; None without counters."""
        if not self._zones:
            return None
        used = 0
        for zone, first, last in zip(self._zones, before, after, strict=True):
            wrap = int((zone / "max_energy_range_uj").read_text())
            used += last - first if last >= first else last - first + wrap
        return used / 1e6


def _readable(path: Path) -> bool:
    try:
        path.read_text()
    except OSError:
        return False
    return True
