"""Checkpoints: images from which a runtime restores a container that is another image.

Where restoring is switched on, containerd and CRI-O see one by an annotation, pull the image that a
file in it names, whoever allows that one, and let memory go on that a layer holds
(docs/adr/0032-checkpoints-are-refused.md). What a scanner sees of it is some files of dumps.
"""

import re
from collections.abc import Mapping
from typing import Any

from shared.adapters.registry.failures import refused

_MARK = re.compile(
    r"org\.criu\.checkpoint\..*"
    r"|checkpointctl\.annotation\..*"
    r"|io\.[a-z0-9.-]+\.annotations\.checkpoint\..*",
    re.DOTALL,
)
"""The annotations of checkpointctl (old and new), CRI-O, containerd and Podman."""


def require_no_checkpoint(content: Mapping[str, Any], *, name: str) -> None:
    """Raises PermanentFailure (refused) where a whole manifest or index is marked as one."""
    annotations = content.get("annotations")
    if isinstance(annotations, dict) and any(map(_MARK.fullmatch, annotations)):
        raise refused(
            f"{name}: it is a checkpoint of a container, from which nodes restore an image and "
            "memory that nobody judged; restore it where no policy holds, or run the image itself"
        )
