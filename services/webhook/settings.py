"""The webhook's settings: environment variables by the fields' names, in capitals."""

from pathlib import Path
from typing import Annotated, Literal

import msgspec

from shared.runtime.cluster_settings import ClusterSettings
from shared.runtime.settings import Port, Secret

Seconds = Annotated[float, msgspec.Meta(gt=0, le=30)]


class WebhookSettings(ClusterSettings, frozen=True, kw_only=True):
    """Everything a webhook process can be told."""

    redis_url: Secret = Secret("")
    """`redis://` or `rediss://`, with user and password where Redis wants them."""
    redis_ca: Path | None = None
    """CA file for a rediss:// REDIS_URL; default: the system's."""
    amqp_url: Secret = Secret("")
    """`amqp://` or `amqps://`."""
    imagegate_rules: Path | None = None
    """The rules file; without one the built-in default (enforce) holds for every image."""
    imagegate_keys: Path | None = None
    """Folder of the public signing keys; default: keys/ in the state folder."""
    imagegate_exceptions: Path | None = None
    """Folder of signed exceptions (`*.exception`), which count without any store."""
    imagegate_certificate: Path | None = None
    """Serving certificate (PEM); with its key. Default: one made in the state folder."""
    imagegate_certificate_key: Path | None = None
    imagegate_client_ca: Path | None = None
    """Callers must show a certificate of this CA, by TLS 1.3; read again when it changes."""
    imagegate_client_names: tuple[str, ...] = ()
    """Which of them are let in: those whose certificate has one of these as its common name or
    among its DNS names, exactly; divided by commas. Default: any of that CA."""
    imagegate_host: str = "127.0.0.1"
    imagegate_port: Port = 8443
    imagegate_health_host: str = "127.0.0.1"
    imagegate_health_port: Port = 8081
    imagegate_scanner: str = "anchore"
    """The name under which webhooks and workers mean the same scanner."""
    imagegate_pin: Literal["pods", "all", "none"] = "pods"
    """Whose tags /mutate replaces by digests, where a rule does not say; all: those of workloads
    too; none: for an installation without /mutate, which lets tags pass with a warning."""
    imagegate_policy_grace: Annotated[float, msgspec.Meta(ge=0, le=604_800)] = 3600.0
    """Seconds in which images still run by verdicts of a policy that was replaced, while they are
    judged anew; 0: from the moment the new one is known none does."""
    imagegate_wait: Seconds = 2.0
    """Seconds a person's review waits for an unknown image."""
    imagegate_system_wait: Seconds = 0.5
    """The same for controllers and service accounts."""
    imagegate_budget: Seconds = 4.5
    """Seconds a whole review may take."""
    imagegate_max_waiters: Annotated[int, msgspec.Meta(ge=0, le=100_000)] = 200
    imagegate_nudge: bool = True
    """Have the controller of a pod that was denied try again as soon as it would be let in; only
    where there is a Kubernetes API to ask, by the ClusterRole imagegate-nudge."""
    imagegate_events: bool = True
    """Tell of that, and of images that failed since, in Kubernetes Events; not without
    IMAGEGATE_NUDGE."""
