"""What a cluster runs, and on what: the images of its pods, and the platforms of its nodes.

For what is looked at now and then as a whole, never for a review.
"""

from collections.abc import AsyncGenerator, Mapping, Sequence
from typing import Protocol

import msgspec


class RunningPod(msgspec.Struct, frozen=True):
    """A pod that runs, or will once its node can start it; one that has ended is none."""

    namespace: str
    name: str
    images: tuple[str, ...]
    """As its spec names them, of every image place, each once; not what a node made of them."""
    labels: Mapping[str, str] = {}
    annotations: Mapping[str, str] = {}


class Node(msgspec.Struct, frozen=True):
    """A machine that runs pods, whether it is ready or not: it may be in a moment."""

    name: str
    platform: str
    """`os/architecture` in Go's names; empty where it does not tell, or tells nonsense."""


class Cluster(Protocol):
    """Guarantees: every pod, node or namespace that is there from the beginning of a listing to its
    end comes, in pages, of which no more than one is held here; some come twice where the API
    server does not keep what it was for long enough. A listing that cannot be ended raises: what
    came before is not all. Who stops in the middle closes it (`aclosing`).

    Errors: ClusterUnreachable, and ClusterMisconfigured where a person must correct something.
    """

    async def identity(self) -> str:
        """A name that this cluster has for as long as it lives, and no other has."""

    def pods(self) -> AsyncGenerator[Sequence[RunningPod], None]:
        """Those that run, of all namespaces."""

    def nodes(self) -> AsyncGenerator[Sequence[Node], None]:
        """All of them."""

    async def namespace_labels(self) -> Mapping[str, Mapping[str, str]]:
        """The labels of all namespaces, by their names. One with more labels than are taken is
        missing, as one that is not known."""

    def check(self) -> None:
        """Raises InvalidSettings where it can never be asked: what must be there to ask is not.
        Asks nobody."""
