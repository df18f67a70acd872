"""The intake's settings: environment variables by the fields' names, in capitals."""

from pathlib import Path
from typing import Annotated

import msgspec

from shared.runtime.process import ProcessSettings
from shared.runtime.settings import Port, Secret


class IntakeSettings(ProcessSettings, frozen=True, kw_only=True):
    """Everything an intake process can be told."""

    redis_url: Secret = Secret("")
    """`redis://` or `rediss://`, with user and password where Redis wants them."""
    redis_ca: Path | None = None
    """CA file for a rediss:// REDIS_URL; default: the system's."""
    amqp_url: Secret = Secret("")
    """`amqp://` or `amqps://`."""
    imagegate_rules: Path | None = None
    """The rules file: allowRegistries says whose events count."""
    imagegate_scanner: str = "anchore"
    """The name under which webhooks, workers and intakes mean the same scanner."""
    imagegate_intake_host: str = "127.0.0.1"
    imagegate_intake_port: Port = 8088
    imagegate_intake_certificate: Path | None = None
    """Serving certificate (PEM); with its key. Without: plain HTTP."""
    imagegate_intake_certificate_key: Path | None = None
    imagegate_intake_repositories: tuple[str, ...] = ()
    """Image patterns as in the rules (`registry.corp/team/**`); empty: all that the rules allow."""
    imagegate_intake_max_body: Annotated[int, msgspec.Meta(ge=1024, le=16 * 2**20)] = 2**20
    """Bytes of one request."""
    imagegate_events_token: Secret = Secret("")
    """What registries send as a Bearer token; several, one a line, while it changes."""
    imagegate_events_hmac: Secret = Secret("")
    """The key of the signature of generic events; several, one a line, while it changes."""
    imagegate_events_user: str = "anchore"
    imagegate_events_password: Secret = Secret("")
    """What Anchore sends as Basic authentication; several passwords, one a line, while it
    changes."""
    anchore_account: str = "admin"
    """The Anchore account of the workers' credentials: whose notices count where a rule names no
    account."""
    imagegate_health_host: str = "127.0.0.1"
    imagegate_health_port: Port = 8083
