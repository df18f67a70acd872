"""What a person may look at in a cluster, to see whether imagegate is installed as it should be."""

from typing import Protocol, TypeVar

import msgspec

Form = TypeVar("Form", bound=msgspec.Struct)


class TrialPod(msgspec.Struct, frozen=True):
    """What became of a pod that was only to be tried (a server-side dry run)."""

    status: int
    """Of HTTP: 201 where it would have been created."""
    message: str
    """Of the refusal; empty where it would have been created."""


class Inspection(Protocol):
    """Only looks: nothing is changed, and a trial is a dry run.

    Errors: ClusterUnreachable, and ClusterMisconfigured where a right or a file is missing.
    """

    async def version(self) -> str:
        """Of Kubernetes, `v1.36.3`."""

    async def behind(self) -> float:
        """Seconds by which the API server's clock is behind ours, to a second; below zero: ahead.
        0 where it does not tell the time."""

    async def all(self, path: str, kind: str, form: type[Form]) -> list[Form]:
        """The objects of a listing (`kind` without its "List"), as far as `form` takes them."""

    async def try_pod(self, namespace: str, pod: bytes) -> TrialPod:
        """Have the API server say what it would do with this pod (JSON)."""
