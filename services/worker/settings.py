"""The worker's settings: environment variables by the fields' names, in capitals."""

from pathlib import Path
from typing import Annotated

import msgspec

from shared.runtime.process import ProcessSettings
from shared.runtime.settings import Port, Secret

Slots = Annotated[int, msgspec.Meta(ge=1, le=1000)]


class WorkerSettings(ProcessSettings, frozen=True, kw_only=True):
    """Everything a worker process can be told."""

    redis_url: Secret = Secret("")
    """`redis://` or `rediss://`, with user and password where Redis wants them."""
    amqp_url: Secret = Secret("")
    """`amqp://` or `amqps://`."""
    anchore_url: str = ""
    """The Anchore server, `http://anchore:8228`."""
    anchore_user: str = "admin"
    anchore_password: Secret = Secret("")
    """Empty: no authentication is sent."""
    anchore_ca: Path | None = None
    """CA file for an https ANCHORE_URL; default: the system's."""
    imagegate_rules: Path | None = None
    """The rules file: registries, allowRegistries, platforms."""
    imagegate_keys: Path | None = None
    """Folder of worker.key and the public keys; default: keys/ in the state folder, made there."""
    imagegate_health_host: str = "127.0.0.1"
    imagegate_health_port: Port = 8082
    imagegate_polls: Annotated[float, msgspec.Meta(gt=0, le=1000)] = 20.0
    """Looks at analyses a second, at most, of this process."""
    imagegate_analysis_limit: Annotated[float, msgspec.Meta(ge=1)] = 3600.0
    """Seconds after which an analysis is given up."""
    imagegate_slots: Slots = 64
    """Steps at a time in each of the lanes for people: resolve, admission, check."""
    imagegate_prewarm_slots: Slots = 16
    """Steps at a time in each of the lanes for prewarm."""
