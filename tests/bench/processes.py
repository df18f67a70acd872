"""What a process takes, as the kernel tells it."""

import os
from pathlib import Path


def resident_mib(pid: int) -> float:
    """Memory that is resident now."""
    return _status_mib(pid, "VmRSS:")


def peak_mib(pid: int) -> float:
    """The most memory that was resident at a time."""
    return _status_mib(pid, "VmHWM:")


def cpu_seconds(pid: int, *, buried: bool = False) -> float:
    """Seconds of CPU since it began, all its threads together; `buried`: and of its children that
    it has waited for."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    times = fields[11:15] if buried else fields[11:13]
    return sum(map(int, times)) / os.sysconf("SC_CLK_TCK")


def children(pid: int) -> list[int]:
    """The processes that it has started, and that run."""
    tasks = Path(f"/proc/{pid}/task").iterdir()
    return [int(child) for task in tasks for child in (task / "children").read_text().split()]


def _status_mib(pid: int, key: str) -> float:
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.partition(key)[2].split()[0]) / 1024
