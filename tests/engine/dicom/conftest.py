"""An archive that runs for the tests: Debian's Orthanc on loopback, with everything it keeps in a temporary folder."""

import json
import shutil
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

DICOM_WEB = Path("/usr/share/orthanc/plugins/libOrthancDicomWeb.so")


@dataclass(frozen=True)
class Archive:
    """Where the archive listens."""

    http: str
    dicom_port: int

    def get(self, path: str, accept: str = "*/*") -> bytes:
        return self.send("GET", path, None, {"Accept": accept})

    def json(self, path: str) -> Any:
        return json.loads(self.get(path, "application/json"))

    def send(self, method: str, path: str, content: bytes | None, headers: dict[str, str]) -> bytes:
        request = urllib.request.Request(self.http + path, data=content, headers=headers, method=method)
        with urllib.request.urlopen(request, timeout=30) as answer:
            body: bytes = answer.read()
            return body


@pytest.fixture(scope="session")
def orthanc(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Archive]:
    """Return a running archive, or skip."""
    program = shutil.which("Orthanc")
    if program is None or not DICOM_WEB.exists():
        pytest.skip("Orthanc with DICOMweb is not installed: apt-get install orthanc orthanc-dicomweb")
    folder = tmp_path_factory.mktemp("orthanc")
    http_port, dicom_port = _free_ports()
    settings = {
        "Name": "photopeak-test",
        "StorageDirectory": str(folder / "storage"),
        "IndexDirectory": str(folder / "storage"),
        "HttpPort": http_port,
        "DicomPort": dicom_port,
        "DicomAet": "TESTARCHIVE",
        "RemoteAccessAllowed": False,
        "HttpBindAddresses": ["127.0.0.1"],
        "AuthenticationEnabled": False,
        "DicomCheckCalledAet": True,
        "StrictAetComparison": True,
        "Plugins": [str(DICOM_WEB)],
        "DicomWeb": {"Enable": True, "Root": "/dicom-web/"},
    }
    configuration = folder / "orthanc.json"
    configuration.write_text(json.dumps(settings))
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen([program, str(configuration)], stdout=log, stderr=log, cwd=folder)
    archive = Archive(f"http://127.0.0.1:{http_port}", dicom_port)
    try:
        _wait(archive, process, folder / "log")
        yield archive
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _free_ports() -> tuple[int, int]:
    with socket.socket() as first, socket.socket() as second:
        first.bind(("127.0.0.1", 0))
        second.bind(("127.0.0.1", 0))
        return first.getsockname()[1], second.getsockname()[1]


def _wait(archive: Archive, process: "subprocess.Popen[bytes]", log: Path) -> None:
    for _ in range(300):
        if process.poll() is not None:
            pytest.fail(f"Orthanc ended at once:\n{log.read_text(errors='replace')[-2000:]}")
        try:
            archive.get("/system")
        except (urllib.error.URLError, ConnectionError):
            time.sleep(0.1)
        else:
            return
    pytest.fail(f"Orthanc did not answer within 30 s:\n{log.read_text(errors='replace')[-2000:]}")
