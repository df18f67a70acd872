"""Which kind of record stands under which key of the store."""

import msgspec

from shared.domain.platforms import Platforms
from shared.domain.pointer import Index, Pointer
from shared.domain.revision import Revision
from shared.domain.signing import Kind
from shared.domain.verdict import Verdict

_BY_PREFIX: dict[str, tuple[Kind, type[msgspec.Struct]]] = {
    "pointer": (Kind.POINTER, Pointer),
    "index": (Kind.INDEX, Index),
    "verdict": (Kind.VERDICT, Verdict),
    "error": (Kind.VERDICT, Verdict),
    "revision": (Kind.REVISION, Revision),
    "platforms": (Kind.PLATFORMS, Platforms),
}


def record_type(key: str) -> tuple[Kind, type[msgspec.Struct]]:
    """The kind and type of the record under `key`; raises KeyError for a key of none."""
    return _BY_PREFIX[key.partition(":")[0]]
