"""The worker's settings: environment variables by the fields' names, in capitals."""

from pathlib import Path
from typing import Annotated, Literal

import msgspec

from shared.runtime.cluster_settings import ClusterSettings
from shared.runtime.settings import Port, Secret

Slots = Annotated[int, msgspec.Meta(ge=1, le=1000)]


class WorkerSettings(ClusterSettings, frozen=True, kw_only=True):
    """Everything a worker process can be told."""

    redis_url: Secret = Secret("")
    """`redis://` or `rediss://`, with user and password where Redis wants them."""
    redis_ca: Path | None = None
    """CA file for a rediss:// REDIS_URL; default: the system's."""
    amqp_url: Secret = Secret("")
    """`amqp://` or `amqps://`."""
    anchore_url: str = ""
    """The Anchore server, `http://anchore:8228`."""
    anchore_api: Literal["auto", "v1", "v2"] = "auto"
    """Which API it speaks; auto: as it says itself."""
    anchore_auth: Literal["auto", "basic", "api-key", "token", "oauth"] = "auto"
    """auto: by which of the next secrets is set. oauth: Anchore gives a token for user and password
    (v2)."""
    anchore_user: str = "admin"
    anchore_password: Secret = Secret("")
    """Empty, without API key and token: no authentication is sent. Files of secrets are read again
    when they change."""
    anchore_api_key: Secret = Secret("")
    """Of a user of Enterprise, in the password's stead."""
    anchore_token: Secret = Secret("")
    """A bearer token that somebody else renews."""
    anchore_ca: Path | None = None
    """CA file for an https ANCHORE_URL; default: the system's."""
    anchore_client_certificate: Path | None = None
    """What we show a server that asks for one, PEM; with its key, read at the start."""
    anchore_client_key: Path | None = None
    anchore_proxy: Secret = Secret("")
    """`http://[USER:PASSWORD@]HOST:PORT`; what the environment says of proxies is not used."""
    imagegate_rules: Path | None = None
    """The rules file: registries, allowRegistries, platforms."""
    imagegate_keys: Path | None = None
    """Folder of worker.key and the public keys; default: keys/ in the state folder, made there."""
    imagegate_health_host: str = "127.0.0.1"
    imagegate_health_port: Port = 8082
    imagegate_polls: Annotated[float, msgspec.Meta(gt=0, le=1000)] = 20.0
    """Looks at analyses a second, at most, of all workers together: set it alike for all."""
    imagegate_anchore_calls: Annotated[float, msgspec.Meta(gt=0, le=10_000)] = 100.0
    """Calls to Anchore a second, at most, of this process; people's and probes come besides."""
    imagegate_analysis_limit: Annotated[float, msgspec.Meta(ge=1)] = 3600.0
    """Seconds that an analysis may run: then it is begun anew (`force`), and the second time it is
    given up."""
    imagegate_waiting_limit: Annotated[float, msgspec.Meta(ge=1)] = 86400.0
    """Seconds that an image may wait for one of Anchore's analyzers; then it is given up."""
    imagegate_prewarm_analyses: Annotated[int, msgspec.Meta(ge=1, le=10_000)] = 8
    """Analyses outstanding at Anchore for images nobody waits for, of all workers together."""
    imagegate_from_not_checked: Literal["warn", "stop", "go"] = "warn"
    """What becomes of an image whose policy asks about FROM where Anchore has no Dockerfile of it:
    it is warned of, fails, or passes with no more than a finding."""
    imagegate_scanner: str = "anchore"
    """The name under which webhooks and workers mean the same scanner."""
    imagegate_refresh_rate: Annotated[float, msgspec.Meta(gt=0, le=1000)] = 10.0
    """Evaluations a second, at most, by which what is in use is judged anew; and no more than half
    of what Anchore was measured to give one who asks without a pause."""
    imagegate_refresh_heads: Annotated[float, msgspec.Meta(gt=0, le=1000)] = 5.0
    """Images a second, at most, for which that asks one registry."""
    imagegate_inventory_every: Annotated[float, msgspec.Meta(ge=10, le=86_400)] = 600.0
    """Seconds between two looks at the pods and nodes of the cluster."""
    imagegate_policy_every: Annotated[float, msgspec.Meta(ge=1, le=3600)] = 60.0
    """Seconds between two looks whether a policy has changed."""
    imagegate_slots: Slots = 64
    """Steps at a time in each of the lanes for people: resolve, admission, check."""
    imagegate_prewarm_slots: Slots = 16
    """Steps at a time in each of the lanes for prewarm."""
