"""The console's settings: environment variables by the fields' names, in capitals."""

from pathlib import Path
from typing import Annotated, Literal

import msgspec

from shared.runtime.process import ProcessSettings
from shared.runtime.settings import Port, Secret


class ConsoleSettings(ProcessSettings, frozen=True, kw_only=True):
    """Everything a console process can be told."""

    redis_url: Secret = Secret("")
    """`redis://` or `rediss://`, with user and password where Redis wants them."""
    redis_ca: Path | None = None
    """CA file for a rediss:// REDIS_URL; default: the system's."""
    amqp_url: Secret = Secret("")
    """`amqp://` or `amqps://`."""
    anchore_url: str = ""
    """The Anchore server whose state is shown; empty: it is not asked."""
    anchore_api: Literal["auto", "v1", "v2"] = "auto"
    anchore_auth: Literal["auto", "basic", "api-key", "token", "oauth"] = "auto"
    anchore_user: str = "admin"
    anchore_password: Secret = Secret("")
    anchore_api_key: Secret = Secret("")
    anchore_token: Secret = Secret("")
    anchore_ca: Path | None = None
    anchore_client_certificate: Path | None = None
    anchore_client_key: Path | None = None
    anchore_proxy: Secret = Secret("")
    """These all as a worker's (services/worker/settings.py)."""
    imagegate_keys: Path | None = None
    """Folder of the public signing keys; default: keys/ in the state folder."""
    imagegate_console_host: str = "127.0.0.1"
    imagegate_console_port: Port = 8090
    imagegate_console_certificate: Path | None = None
    """Serving certificate (PEM); with its key. Without: plain HTTP."""
    imagegate_console_certificate_key: Path | None = None
    imagegate_console_token: Secret = Secret("")
    """Who sends it may look; default: one made in the state folder (console.token, 0600)."""
    imagegate_console_every: Annotated[float, msgspec.Meta(ge=0.2, le=60)] = 1.0
    """Seconds between two looks at the queue while somebody watches."""
    imagegate_health_host: str = "127.0.0.1"
    imagegate_health_port: Port = 8084
