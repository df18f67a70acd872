"""An image's layers read once, by a child process of their own (`look`), before Syft.

A node looks for layers it unpacked before by the config's `diff_ids` alone (containerd's chain
id) and then neither fetches nor reads what the manifest names. An image whose two halves do not
fit could be judged by the one and run as the other; Syft does not compare them. How much the
image unpacks to is known afterwards, before Syft writes any of it.
"""

import asyncio
import os
import sys
from pathlib import Path

import msgspec

from services.scanner.analysis.layout import blob_path
from services.scanner.analysis.look import REFUSED, Layer, Look
from services.scanner.analysis.manifest import Manifest
from services.scanner.analysis.threads import to_its_end
from services.scanner.judging.confined import Limits, kill_group, start_confined
from services.scanner.records import AnalysisFailed

_COMMAND = (sys.executable, "-P", "-m", "services.scanner.analysis.look")
_MAX_SAID = 4096
_MAX_ANSWER = 64 * 1024**2


class LayerLimits(msgspec.Struct, frozen=True):
    """Seconds, bytes of memory, bytes unpacked and files of all layers together."""

    seconds: float
    memory: int
    disk: int
    files: int


class _RootFs(msgspec.Struct):
    diff_ids: list[str]


class _Config(msgspec.Struct):
    rootfs: _RootFs


async def look_at_layers(
    layout: Path, manifest: Manifest, *, scratch: Path, limits: LayerLimits
) -> Path:
    """`contents.Contents` as JSON, in a file in `scratch`. Raises AnalysisFailed."""
    question, answer, errors = (scratch / f"look.{name}" for name in ("ask", "json", "err"))
    asked = await asyncio.to_thread(_question, layout, manifest, limits)
    await to_its_end(question.write_bytes, msgspec.json.encode(asked))
    with answer.open("wb") as stdout, errors.open("wb") as stderr:
        process = await start_confined(
            (*_COMMAND, str(question)),
            limits=Limits(
                address_space=limits.memory,
                file_size=_MAX_ANSWER,
                cpu_seconds=int(limits.seconds) + 1,
                network=False,
            ),
            env={"PATH": os.defpath},
            stdout=stdout,
            stderr=stderr,
        )
        try:
            async with asyncio.timeout(limits.seconds):
                code = await process.wait()
        except TimeoutError as error:
            raise AnalysisFailed(_too_slow(limits)) from error
        finally:
            await kill_group(process)
    if code:
        raise AnalysisFailed(await asyncio.to_thread(_reason, code, errors, limits))
    return answer


def _question(layout: Path, manifest: Manifest, limits: LayerLimits) -> Look:
    diff_ids = _diff_ids(blob_path(layout, manifest.config.digest))
    if len(diff_ids) != len(manifest.layers):
        raise AnalysisFailed(
            f"the image's config names {len(diff_ids)} layers and its manifest "
            f"{len(manifest.layers)}: build it again"
        )
    return Look(
        layers=tuple(
            Layer(str(blob_path(layout, layer.digest)), layer.media_type, diff_id)
            for layer, diff_id in zip(manifest.layers, diff_ids, strict=True)
        ),
        max_bytes=limits.disk,
        max_entries=limits.files,
    )


def _diff_ids(config: Path) -> list[str]:
    try:
        return msgspec.json.decode(config.read_bytes(), type=_Config).rootfs.diff_ids
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise AnalysisFailed(f"the image's config names no layers: {error}") from error


def _reason(code: int, errors: Path, limits: LayerLimits) -> str:
    """Its own words; those of a crash are of the last line."""
    with errors.open("rb") as stream:
        said = stream.read(_MAX_SAID).decode(errors="replace").strip()
    if code == REFUSED and said:
        return said
    if code in (-9, -24):  # SIGKILL or SIGXCPU: its time on the processor is over
        return _too_slow(limits)
    last = said.splitlines()[-1:] or ["no word"]
    return f"the layers could not be read (exit code {code}): {last[0]}"


def _too_slow(limits: LayerLimits) -> str:
    return (
        f"the layers could not be read in {limits.seconds:g} s: raise "
        "IMAGEGATE_SCANNER_ANALYSIS_SECONDS if the image must be scanned"
    )
