"""One analysis: pull the image, list its packages, read its config; then everything is removed."""

import asyncio
import shutil
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec

from services.scanner.analysis.layers import check_layers
from services.scanner.analysis.layout import blob_path, pull_layout
from services.scanner.analysis.manifest import Manifest
from services.scanner.analysis.syft import SyftLimits, run_syft
from services.scanner.judging.judges import Judges
from services.scanner.judging.questions import Facts, Failed, ReadFacts
from services.scanner.records import AnalysisFailed, Image, ImageFacts
from shared.domain.reference import parse_reference
from shared.ports.content import ImageContent


class AnalysisLimits(msgspec.Struct, frozen=True):
    """Bytes of an image as pulled, seconds that pulling may take, and what Syft may take."""

    image_bytes: int
    pull_seconds: float
    syft: SyftLimits


class Analyst:
    """Analyses images in folders below `scratch`, which it clears at its start."""

    def __init__(
        self,
        *,
        content: ImageContent,
        judges: Judges,
        syft: Path,
        scratch: Path,
        limits: AnalysisLimits,
    ) -> None:
        self._content = content
        self._judges = judges
        self._syft = syft
        self._scratch = scratch
        self._limits = limits

    async def clear(self) -> None:
        """Remove what a killed process left, and make the scratch folder."""
        await asyncio.to_thread(shutil.rmtree, self._scratch, ignore_errors=True)
        await asyncio.to_thread(self._scratch.mkdir, mode=0o700, parents=True, exist_ok=True)

    async def analyse(self, image: Image) -> ImageFacts:
        """Raises AnalysisFailed with the reason."""
        async with self._folder() as folder:
            layout = folder / "layout"
            reference = parse_reference(f"{image.repository}@{image.digest}")
            try:
                async with asyncio.timeout(self._limits.pull_seconds):
                    manifest = await pull_layout(
                        self._content,
                        reference,
                        image.digest,
                        folder=layout,
                        max_bytes=self._limits.image_bytes,
                    )
            except TimeoutError as error:
                raise AnalysisFailed(
                    f"the image could not be pulled in {self._limits.pull_seconds:g} s: raise "
                    "IMAGEGATE_SCANNER_PULL_SECONDS if it must be scanned"
                ) from error
            listing = await run_syft(
                self._syft, layout=layout, scratch=folder, limits=self._limits.syft
            )
            await self._check_layers(layout, manifest)
            answer = await self._judges.ask(
                ReadFacts(
                    listing=str(listing),
                    config=str(blob_path(layout, manifest.config.digest)),
                    dockerfile=image.dockerfile,
                    layers=len(manifest.layers),
                )
            )
        if isinstance(answer, Facts):
            return answer.facts
        reason = answer.details if isinstance(answer, Failed) else type(answer).__name__
        raise AnalysisFailed(f"the results could not be read: {reason}")

    async def _check_layers(self, layout: Path, manifest: Manifest) -> None:
        """After Syft, which has unpacked them within its limits."""
        limits = self._limits.syft
        try:
            async with asyncio.timeout(limits.seconds):
                await check_layers(layout, manifest, max_bytes=limits.disk)
        except TimeoutError as error:
            raise AnalysisFailed(
                f"the layers could not be read in {limits.seconds:g} s: raise "
                "IMAGEGATE_SCANNER_ANALYSIS_SECONDS if the image must be scanned"
            ) from error

    @asynccontextmanager
    async def _folder(self) -> AsyncIterator[Path]:
        folder = Path(await asyncio.to_thread(tempfile.mkdtemp, dir=self._scratch))
        try:
            yield folder
        finally:
            await asyncio.shield(asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True))
