"""Bounds on what the Kubernetes API is asked, and on what is taken from it.

Why these: docs/adr/0017.
"""

import msgspec

from shared.ports.namespaces import READ_WITHIN

MAX_PAGE = 250
"""Namespaces in one answer of a listing: 0.6 MB of them as they usually are."""
MAX_BODY_BYTES = 8 * 1024 * 1024
MAX_LINE_BYTES = 4 * 1024 * 1024
"""One event of a watch. An object has at most 1.5 MiB in etcd, and grows as JSON."""
MAX_ERROR_BYTES = 4 * 1024
MAX_TOKEN_BYTES = 64 * 1024
MAX_VERSION = 256
MAX_UID = 64
MAX_CONTINUE = 4 * 1024
"""Characters of what goes back into a URL."""

MAX_NAMESPACES = 20_000
"""Twice of what Kubernetes is made for."""
LABEL_BYTES = 128
"""What a label takes beside its text."""
MAX_LABEL_BYTES = 32 * 1024 * 1024
MAX_LABEL_BYTES_OF_ONE = 32 * 1024
"""About a hundred long labels. A namespace with more has its own pods refused, and no others."""
MAX_READ = 512
"""Namespaces that were read one by one and are remembered."""
MAX_WAITING = 512
"""Namespaces that reviews wait for at a time."""

READS_SAVED = 20
READS_A_SECOND = 10.0
"""Questions for single namespaces: what a stranger's made-up ones can cost at most."""


MAX_PODS_PAGE = 100
"""Pods in one answer of a listing: about 1 MB, which is decoded in some milliseconds."""
MAX_NODES_PAGE = 50
"""A node names up to fifty of the images that it has: 20 kB each."""
MAX_LIST_PAGES = 20_000
"""Of one listing: ten times what Kubernetes is made for, 150 000 pods."""
MAX_LISTINGS = 3
"""Times that a listing is begun, should the API server forget what it was telling."""


class Pace(msgspec.Struct, frozen=True, kw_only=True):
    """Seconds."""

    believed: float = 60.0
    """After the API server last said that nothing else had changed."""
    missing: float = 5.0
    """For which a namespace that is not there is not asked for again."""
    watch: int = 20
    """After which the API server is asked to end a watch: with a bookmark, 2 s before."""
    grace: float = 5.0
    """What it may be late with that."""
    connect: float = 2.0
    answer: float = 5.0
    """One answer, or the beginning of a watch."""
    listing: float = 30.0
    """All pages."""
    read: float = 2.0
    """One namespace: longer than a review waits, so that the next one finds it."""
    review: float = READ_WITHIN - 0.02
    """What a review waits for one: what is to be done afterwards has to fit in, too."""
    shortest: float = 1.0
    """A watch that ends sooner is followed by a pause, however it ended."""
    first_pause: float = 0.2
    last_pause: float = 10.0
