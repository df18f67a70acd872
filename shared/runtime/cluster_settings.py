"""What processes are told that ask a Kubernetes API, or live by what others were told by it."""

from pathlib import Path
from typing import Annotated, Literal

import msgspec

from shared.domain.cluster_name import ClusterName
from shared.runtime.process import ProcessSettings


class ClusterSettings(ProcessSettings, frozen=True, kw_only=True):
    """Of webhooks and workers."""

    imagegate_cluster: ClusterName = ""
    """This cluster's name, where several share a store or an operator's key: the platforms of its
    nodes count here, and each has its own emergency (`imagegate emergency`)."""
    imagegate_inventory: Literal["auto", "on", "off"] = "auto"
    """Whether a worker looks at pods and nodes, and webhooks count the platforms that it saw. auto:
    where there is a Kubernetes API and a token for it, and where something was seen; on: else the
    worker does not start, and of an image for several platforms every manifest counts."""
    imagegate_kubernetes_url: str = ""
    """The API server (`https://HOST:6443`); default: that of the cluster whose pod this is.
    Webhooks ask it for labels of namespaces (rules with namespaceLabels) and owners of pods,
    workers for pods and nodes."""
    imagegate_kubernetes_token_file: Path | None = None
    """Holds the token that it is shown, and is read each time; default: the pod's own."""
    imagegate_kubernetes_ca: Path | None = None
    """CA file of its certificate; default: the pod's own, or those that this machine trusts."""
    kubernetes_service_host: str = ""
    """What the kubelet tells each pod, with the next one: nobody else need set these."""
    kubernetes_service_port: Annotated[int, msgspec.Meta(ge=1, le=65_535)] = 443
