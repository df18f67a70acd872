"""Grype as a subprocess: what it answers, and what it says when it does not.

Bounded in time, memory and output, in a process group of its own with an environment that holds
nothing of ours, so that no configuration file and no variable has it leave something out. Only
`update` has a network.
"""

import asyncio
import errno
import os
import shutil
import tempfile
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from pathlib import Path

import msgspec

from services.scanner.judging.confined import Limits, kill_group, start_confined
from services.scanner.matching.port import MatchingFailed
from shared.domain.errors import InvalidSettings
from shared.runtime.logging import one_line

MAX_OUTPUT = 64 * 1024**2
_MAX_STATUS = 64 * 1024
_MAX_SAID = 4096
_MAX_REASON = 400
UPDATE_SECONDS = 3600.0
"""The database is some hundred MB, and is unpacked and given its indexes afterwards."""


class GrypeLimits(msgspec.Struct, frozen=True):
    """What one run may take (seconds, bytes of address space), and how many run at a time."""

    seconds: float
    memory: int
    at_once: int


class GrypeStatus(msgspec.Struct, frozen=True, rename="camel"):
    """`grype db status -o json`."""

    path: str
    valid: bool
    schema_version: str = ""
    built: datetime | None = None
    error: str = ""


def find_grype(search_path: str) -> Path:
    """`grype` on PATH, else InvalidSettings that says how to get it."""
    found = shutil.which("grype", path=search_path)
    if found is None:
        raise InvalidSettings(
            "no grype on PATH, and IMAGEGATE_SCANNER_VULNERABILITIES=grype: install it "
            "(https://github.com/anchore/grype, docs/install.md), or leave the setting out for "
            "imagegate's own feed"
        )
    return Path(found).absolute()


class GrypeProgram:
    """Runs it. Each run has a folder of its own below `scratch`, which is gone afterwards."""

    def __init__(self, *, program: Path, cache: Path, scratch: Path, limits: GrypeLimits) -> None:
        self.program = program
        self.cache = cache
        self._scratch = scratch
        self._limits = limits
        self._places = asyncio.Semaphore(limits.at_once)

    async def clear(self) -> None:
        """Remove what a killed process left, and make the scratch folder."""
        await asyncio.to_thread(shutil.rmtree, self._scratch, ignore_errors=True)
        await asyncio.to_thread(self._scratch.mkdir, mode=0o700, parents=True, exist_ok=True)

    async def status(self) -> GrypeStatus:
        """What it says of its database, checksum and all. Raises MatchingFailed."""
        async with self.folder() as folder:
            # It ends with 1 where the database is not valid, and says why in what it writes.
            told, said, code = await self._run(("db", "status", "-o", "json"), folder)
            try:
                return msgspec.json.decode(await _text(told, _MAX_STATUS), type=GrypeStatus)
            except msgspec.MsgspecError as error:
                raise MatchingFailed(
                    f"`grype db status` gave no status ({_reason(code, said)}): is "
                    f"{self.program} Grype 0.88 or newer?"
                ) from error

    async def open_database(self) -> None:
        """Have it open its database once, alone: one that an older Grype has prepared it changes
        first, which several at a time had better not do. Raises MatchingFailed."""
        async with self.folder() as folder:
            _, said, code = await self._run(
                ("db", "providers", "-o", "json"), folder, file_size=None
            )
            if code != 0:
                raise MatchingFailed(f"`grype db providers` failed: {_reason(code, said)}")

    async def scan(self, sbom: Path, folder: Path) -> Path:
        """Its JSON about an SBOM in `folder`. Raises MatchingFailed."""
        async with self._places:
            # The checksum was looked at when the database was found: a second for each image.
            told, said, code = await self._run(
                (f"sbom:{sbom}", "-o", "json"),
                folder,
                {"GRYPE_DB_VALIDATE_BY_HASH_ON_START": "false"},
            )
        if code != 0:
            raise MatchingFailed(f"grype failed: {_reason(code, said)}")
        return told

    async def update(self, environ: Mapping[str, str]) -> None:
        """Have it look for a newer database, with what `environ` says of proxies and mirrors.

        Raises MatchingFailed.
        """
        async with self.folder() as folder:
            _, said, code = await self._run(
                ("db", "update"),
                folder,
                environ,
                file_size=None,
                network=True,
                seconds=UPDATE_SECONDS,
            )
        if code != 0:
            raise MatchingFailed(f"`grype db update` failed: {_reason(code, said)}")

    @asynccontextmanager
    async def folder(self) -> AsyncIterator[Path]:
        """A run's home and temporary folder."""
        path = Path(await asyncio.to_thread(tempfile.mkdtemp, dir=self._scratch))
        try:
            yield path
        finally:
            await asyncio.shield(asyncio.to_thread(shutil.rmtree, path, ignore_errors=True))

    async def _run(
        self,
        arguments: Sequence[str],
        folder: Path,
        environ: Mapping[str, str] | None = None,
        *,
        file_size: int | None = MAX_OUTPUT,
        network: bool = False,
        seconds: float | None = None,
    ) -> tuple[Path, str, int]:
        """What it wrote (a file), what it said, its exit code. Raises MatchingFailed when it does
        not end."""
        seconds = seconds or self._limits.seconds
        output, errors = folder / "grype.json", folder / "grype.err"
        with output.open("wb") as stdout, errors.open("wb") as stderr:
            process = await start_confined(
                [str(self.program), *arguments],
                limits=Limits(
                    address_space=self._limits.memory,
                    file_size=file_size,
                    cpu_seconds=int(seconds * (os.cpu_count() or 1)) + 1,
                    network=network,
                ),
                env={**(environ or {}), **self._environ(folder)},
                cwd=folder,
                stdout=stdout,
                stderr=stderr,
            )
            try:
                async with asyncio.timeout(seconds):
                    code = await process.wait()
            except TimeoutError as error:
                raise MatchingFailed(
                    f"grype did not end in {seconds:g} s: raise IMAGEGATE_SCANNER_GRYPE_SECONDS "
                    "if this machine is slow"
                ) from error
            finally:
                await kill_group(process)
        return output, (await _text(errors, _MAX_SAID)).decode(errors="replace"), code

    def _environ(self, folder: Path) -> dict[str, str]:
        return {
            "GRYPE_CHECK_FOR_APP_UPDATE": "false",
            "GRYPE_DB_AUTO_UPDATE": "false",
            "GRYPE_DB_CACHE_DIR": str(self.cache),
            # How old it may be is the policy's word (stale_feed_data), not a scan that fails.
            "GRYPE_DB_VALIDATE_AGE": "false",
            "HOME": str(folder),
            "TMPDIR": str(folder),
            "PATH": os.defpath,
        }


async def _text(path: Path, limit: int) -> bytes:
    def read() -> bytes:
        with path.open("rb") as stream:
            return stream.read(limit)

    return await asyncio.to_thread(read)


def _reason(code: int, said: str) -> str:
    """The last that it said: what comes before are warnings."""
    if code in (-25, 153) or os.strerror(errno.EFBIG).lower() in said.lower():
        return f"it wrote more than {MAX_OUTPUT} bytes about the image"
    how = f"killed by signal {-code}" if code < 0 else f"exit code {code}"
    lines = [line for line in said.splitlines() if "ERROR" in line] or said.splitlines()[-3:]
    words = one_line(" ".join(lines))[:_MAX_REASON]
    return f"{how}{': ' + words if words else ''}"
