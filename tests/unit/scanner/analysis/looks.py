"""Layers in files, and what is seen in them."""

import gzip
import tempfile
from pathlib import Path

from services.scanner.analysis.contents import Contents
from services.scanner.analysis.look import Layer, Look, look
from tests.fakes.images import OCI_LAYER, digest_of

MIB = 1024**2


def looked(*tars: bytes, max_bytes: int = 64 * MIB, max_entries: int = 10_000) -> Contents:
    """What the files of these layers, lowest first, end up as. Raises AnalysisFailed."""
    packed = [(gzip.compress(tar, 1), digest_of(tar)) for tar in tars]
    return looked_at(*packed, max_bytes=max_bytes, max_entries=max_entries)


def looked_at(
    *blobs: tuple[bytes, str],
    media_type: str = OCI_LAYER,
    max_bytes: int = 64 * MIB,
    max_entries: int = 10_000,
) -> Contents:
    """The same of blobs, each with what the config says that it unpacks to."""
    with tempfile.TemporaryDirectory() as folder:
        layers = []
        for number, (blob, diff_id) in enumerate(blobs):
            path = Path(folder, str(number))
            path.write_bytes(blob)
            layers.append(Layer(str(path), media_type, diff_id))
        return look(Look(tuple(layers), max_bytes, max_entries))
