"""One analysis: pull the image, look at its layers, list its packages, read its config; then
everything is removed."""

import asyncio
import shutil
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec

from services.scanner.analysis.blobs import Blobs
from services.scanner.analysis.layers import LayerLimits, look_at_layers
from services.scanner.analysis.layout import Layouts, blob_path
from services.scanner.analysis.manifest import Manifest
from services.scanner.analysis.syft import SyftLimits, run_syft
from services.scanner.analysis.threads import to_its_end
from services.scanner.judging.judges import Judges
from services.scanner.judging.questions import Facts, Failed, ReadFacts
from services.scanner.records import AnalysisFailed, Image, ImageFacts
from shared.domain.reference import parse_reference
from shared.ports.content import ImageContent


class AnalysisLimits(msgspec.Struct, frozen=True):
    """Bytes of an image as pulled, seconds that pulling may take, and what one analysis may
    take: seconds of each of its children, their memory, bytes unpacked, files in all layers."""

    image_bytes: int
    pull_seconds: float
    seconds: float
    memory: int
    disk: int
    files: int


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
        self._judges = judges
        self._syft = syft
        self._scratch = scratch
        self._layers = LayerLimits(limits.seconds, limits.memory, limits.disk, limits.files)
        self._limits = SyftLimits(limits.seconds, limits.memory, limits.disk)
        self._layouts = Layouts(
            content=content,
            blobs=Blobs(content=content, folder=scratch),
            max_bytes=limits.image_bytes,
            seconds=limits.pull_seconds,
        )

    async def clear(self) -> None:
        """Remove what a killed process left, and make the scratch folder."""
        await asyncio.to_thread(shutil.rmtree, self._scratch, ignore_errors=True)
        await asyncio.to_thread(self._scratch.mkdir, mode=0o700, parents=True, exist_ok=True)

    async def analyse(self, image: Image) -> ImageFacts:
        """Raises AnalysisFailed with the reason."""
        reference = parse_reference(f"{image.repository}@{image.digest}")
        async with (
            self._folder() as folder,
            self._layouts.pulled(reference, image.digest, folder=folder / "layout") as manifest,
        ):
            answer = await self._judges.ask(await self._read(image, folder, manifest))
        if isinstance(answer, Facts):
            return answer.facts
        reason = answer.details if isinstance(answer, Failed) else type(answer).__name__
        raise AnalysisFailed(f"the results could not be read: {reason}")

    async def _read(self, image: Image, folder: Path, manifest: Manifest) -> ReadFacts:
        """Everything that the facts are made of, in files of `folder`."""
        layout = folder / "layout"
        contents = await look_at_layers(layout, manifest, scratch=folder, limits=self._layers)
        listing = await run_syft(self._syft, layout=layout, scratch=folder, limits=self._limits)
        return ReadFacts(
            listing=str(listing),
            contents=str(contents),
            config=str(blob_path(layout, manifest.config.digest)),
            dockerfile=image.dockerfile,
            layers=len(manifest.layers),
        )

    @asynccontextmanager
    async def _folder(self) -> AsyncIterator[Path]:
        folder = self._scratch / uuid.uuid4().hex
        try:
            await to_its_end(folder.mkdir, mode=0o700)
            yield folder
        finally:
            await asyncio.shield(asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True))
