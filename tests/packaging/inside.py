"""What is run inside of an image of ours to see what it can and may do there."""

import os
import signal
from pathlib import Path

from tests.packaging.images import Container
from tests.servers.ports import free_ports
from tests.servers.process import ServerProcess

IMPORT_ALL = """
import importlib, pkgutil, services, shared
for package in (services, shared):
    for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
        if not module.name.endswith(".__main__"):
            importlib.import_module(module.name)
            print(module.name)
"""
WHO = """
import json, os
ids = {"user": os.getuid(), "group": os.getgid(), "groups": os.getgroups(), "process": os.getpid()}
def tried(path):
    try:
        with open(path, "w"):
            return ""
    except OSError as error:
        return error.strerror
paths = ("/opt/imagegate/new", "/var/lib/imagegate/new", "/etc/new", "/new", "/tmp/new")
print(json.dumps(ids | {"tried": {path: tried(path) for path in paths}}))
"""


class ScannerContainer(ServerProcess):
    """`imagegate scanner` as the first process of its container."""

    name = "scanner"
    start_within = 60.0

    def __init__(self, folder: Path, container: Container, *, state: Path) -> None:
        super().__init__(folder)
        self._container = container
        self._state = state

    def command_line(self) -> list[str]:
        health = free_ports("health")["health"]
        self.probe = ["python", "-m", "shared.runtime.probe", f"http://127.0.0.1:{health}/readyz"]
        told = {"IMAGEGATE_SCANNER_PORT": str(self.port), "IMAGEGATE_HEALTH_PORT": str(health)}
        command = ["imagegate", "scanner"]
        return self._container.command_line(command, environ=told, state=self._state)

    def answers(self) -> bool:
        """By the health check of compose."""
        return self._container.execute(self.probe).returncode == 0

    def terminate(self) -> int:
        """As a runtime does; its exit code."""
        assert self.process is not None
        unshare = self.process.pid
        (first,) = Path(f"/proc/{unshare}/task/{unshare}/children").read_text().split()
        os.kill(int(first), signal.SIGTERM)
        return self.process.wait(timeout=60)
