"""The command line's settings: which servers its commands ask, and where its state is."""

from pathlib import Path
from typing import Annotated, Literal

import msgspec

from services.console.session import TOKEN_FILE, checked
from shared.domain.cluster_name import ClusterName
from shared.domain.errors import InvalidSettings
from shared.runtime.settings import Secret
from shared.runtime.state import StateSettings, read_secret


class ServersMissing(InvalidSettings):
    """Some of the servers are named, and others not."""


class CliSettings(StateSettings, frozen=True, kw_only=True):
    """A field `redis_url` is the variable REDIS_URL."""

    imagegate_console: str = ""
    """URL of a console: who only looks asks it."""
    imagegate_console_token: Secret = Secret("")
    """Its token; default: console.token in the state folder."""
    imagegate_console_ca: Path | None = None
    """CA file of its certificate; default: those that this machine trusts."""
    redis_url: Secret = Secret("")
    redis_ca: Path | None = None
    """CA file for a rediss:// REDIS_URL; default: the system's."""
    amqp_url: Secret = Secret("")
    """With both the commands ask these servers; with neither the socket of `imagegate up`."""
    anchore_url: str = ""
    """For `scan`, `policies` and `registries`, and for the scanner's line of `status`."""
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
    imagegate_rules: Path | None = None
    imagegate_keys: Path | None = None
    """Folder of the public keys; default: keys/ in the state folder."""
    imagegate_operator_keys: Path | None = None
    """Folder of operator.key, for who allows and revokes; default: that of IMAGEGATE_KEYS."""
    imagegate_scanner: str = "anchore"
    imagegate_cluster: ClusterName = ""
    """Which cluster `imagegate emergency`, `allow`, `explain` and `prewarm` are about, and `doctor`
    where the webhooks' pods do not tell it: as its webhooks have it."""
    imagegate_exceptions: Path | None = None
    """The webhooks' folder of signed exceptions, for `explain`; as the next three."""
    imagegate_inventory: Literal["auto", "on", "off"] = "auto"
    imagegate_pin: Literal["pods", "all", "none"] = "pods"
    imagegate_policy_grace: Annotated[float, msgspec.Meta(ge=0, le=604_800)] = 3600.0
    kubeconfig: str = ""
    """kubectl's own: one file or several, for commands that ask a cluster."""
    kubernetes_service_host: str = ""
    """The API server, as the kubelet tells each pod: asked where there is no kubeconfig."""
    kubernetes_service_port: Annotated[int, msgspec.Meta(ge=1, le=65_535)] = 443

    @property
    def ring_folder(self) -> Path:
        """Where the public keys are."""
        return self.imagegate_keys or self.state_folder / "keys"

    @property
    def operator_folder(self) -> Path:
        """Where the operator's key is."""
        return self.imagegate_operator_keys or self.ring_folder

    def names_servers(self, *, scanner: bool = False) -> bool:
        """Whether Redis and RabbitMQ are named, and the scanner if it is needed.

        Raises ServersMissing when only some of these are.
        """
        named = {"REDIS_URL": bool(self.redis_url), "AMQP_URL": bool(self.amqp_url)}
        if scanner:
            named["ANCHORE_URL"] = bool(self.anchore_url)
        missing = [name for name, given in named.items() if not given]
        if missing and len(missing) < len(named):
            raise ServersMissing(
                f"{' and '.join(missing)} not set: set {', '.join(named)}, or none of them to ask "
                "a running `imagegate up`"
            )
        return not missing

    def console_token(self) -> str:
        """The console's token; raises InvalidSettings when there is none to be had."""
        if self.imagegate_console_token:
            return checked(self.imagegate_console_token.value)
        path = self.state_folder / TOKEN_FILE
        try:
            return read_secret(path)
        except OSError as error:
            raise InvalidSettings(
                "IMAGEGATE_CONSOLE_TOKEN is not set: set it to the console's token, or "
                f"IMAGEGATE_CONSOLE_TOKEN_FILE to the file that holds it (there is no {path})"
            ) from error
