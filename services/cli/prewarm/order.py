"""What is wanted of one run of prewarm."""

from collections.abc import Mapping
from pathlib import Path

import msgspec

from shared.domain.glob import Glob


class Sources(msgspec.Struct, frozen=True):
    """Where images are named."""

    cluster: bool = False
    images: tuple[str, ...] = ()
    manifests: tuple[str, ...] = ()
    repositories: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()

    @property
    def named(self) -> tuple[str, ...]:
        """As a person would say them."""
        return (
            *(("cluster",) if self.cluster else ()),
            *(f"images {each}" for each in self.images),
            *(f"manifests {each}" for each in self.manifests),
            *(f"repository {each}" for each in self.repositories),
        )


class Order(msgspec.Struct, frozen=True, kw_only=True):
    """What is wanted."""

    sources: Sources
    kubeconfig: Path | None = None
    context: str = ""
    namespace: str = "default"
    """Of what names none."""
    namespace_labels: Mapping[str, str] | None = None
    """Of namespaces that no cluster tells."""
    exempt: tuple[Glob, ...] = ()
    user: str
    timeout: float
    """Seconds for all that is to be judged."""
    at_once: int

    @property
    def asks_a_cluster(self) -> bool:
        """Who names one wants its namespaces to count, be it for manifests alone."""
        return self.sources.cluster or self.kubeconfig is not None or bool(self.context)
