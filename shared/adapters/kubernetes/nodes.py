"""Nodes as the Kubernetes API lists them: their names and platforms."""

import msgspec

from shared.adapters.kubernetes.limits import MAX_NODES_PAGE
from shared.adapters.kubernetes.listing import Listing, PageOf
from shared.adapters.kubernetes.wire import Wire
from shared.domain.platform import platform_of
from shared.ports.cluster import Node


class _Meta(msgspec.Struct):
    name: str = ""
    labels: dict[str, str] | None = None


class _Info(msgspec.Struct, rename="camel"):
    """What the kubelet was built for: with its runtime it chooses the manifest by that."""

    operating_system: str = ""
    architecture: str = ""


class _Status(msgspec.Struct, rename="camel"):
    node_info: _Info = msgspec.field(default_factory=_Info)


class _Node(msgspec.Struct):
    metadata: _Meta = msgspec.field(default_factory=_Meta)
    status: _Status = msgspec.field(default_factory=_Status)


def nodes_of(wire: Wire) -> Listing[_Node]:
    """How all are listed."""
    return Listing(
        wire=wire,
        path="/api/v1/nodes",
        kind="NodeList",
        doing="list nodes",
        decoder=msgspec.json.Decoder(PageOf[_Node]),
        limit=MAX_NODES_PAGE,
    )


def seen(nodes: list[_Node]) -> list[Node]:
    """With their platforms."""
    return [Node(node.metadata.name, _platform(node)) for node in nodes]


def _platform(node: _Node) -> str:
    """By the status, which needs a right of its own to be written; by the labels, which more people
    may change, only of a node whose kubelet has not told it yet."""
    info, labels = node.status.node_info, node.metadata.labels or {}
    if info.operating_system or info.architecture:
        return platform_of(info.operating_system, info.architecture)
    return platform_of(labels.get("kubernetes.io/os", ""), labels.get("kubernetes.io/arch", ""))
