"""Bounds on everything that comes from a registry (docs/design/registry.md).

A registry is chosen by whoever writes a pod: no answer of it may cost more than these.
"""

import msgspec

MAX_MANIFEST_BYTES = 4 * 1024 * 1024
MAX_TOKEN_BYTES = 64 * 1024
MAX_ERROR_BYTES = 4 * 1024
MAX_INDEX_ENTRIES = 128
MAX_INDEX_DEPTH = 3
MAX_INDEXES = 16
MAX_CHILDREN = 256
MAX_LAYERS = 512
MAX_REDIRECTS = 3
MAX_TOKENS = 512
MAX_TOKEN_LIFE = 3600.0
MAX_CREDENTIAL_FILE_BYTES = 1024 * 1024
MAX_SECRET_FILE_BYTES = 64 * 1024
MAX_HELPER_BYTES = 64 * 1024
MAX_HELPERS = 64
MAX_RETRY_AFTER = 3600.0
MAX_CONNECTIONS = 128
MAX_CONNECTIONS_PER_HOST = 32
CHUNK_BYTES = 64 * 1024
TAGS_PAGE = 1_000
MAX_TAG_PAGES = 1_000
"""Registries may send fewer than they are asked for."""


class Timeouts(msgspec.Struct, frozen=True, kw_only=True):
    """Seconds. `head`, `manifest` and `index` are whole calls, authentication included."""

    connect: float = 2.0
    """A look-up of the host's name, and a connection."""
    head: float = 4.0
    manifest: float = 10.0
    index: float = 20.0
    """An index with all that are nested in it."""
    token: float = 4.0
    helper: float = 10.0
    """A run of a credential helper."""
    helper_wait: float = 3.0
    """What one who asks waits for it: less than `head`, whose words would be about the registry."""
    idle: float = 10.0
    """Between two pieces of a body."""
    blob: float = 600.0
    """A whole blob, the reader's own time included."""
