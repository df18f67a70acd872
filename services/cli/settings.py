"""The command line's settings: which servers its commands ask, and where its state is."""

from pathlib import Path

from shared.domain.errors import InvalidSettings
from shared.runtime.settings import Secret
from shared.runtime.state import StateSettings


class CliSettings(StateSettings, frozen=True, kw_only=True):
    """A field `redis_url` is the variable REDIS_URL."""

    redis_url: Secret = Secret("")
    amqp_url: Secret = Secret("")
    anchore_url: str = ""
    """With all three the commands ask these servers; with none the socket of `imagegate up`."""
    anchore_user: str = "admin"
    anchore_password: Secret = Secret("")
    anchore_ca: Path | None = None
    imagegate_rules: Path | None = None
    imagegate_keys: Path | None = None
    """Folder of the public keys; default: keys/ in the state folder."""
    imagegate_scanner: str = "anchore"

    @property
    def direct(self) -> bool:
        """Whether the servers are named; raises InvalidSettings when only some are."""
        named = {
            "REDIS_URL": bool(self.redis_url),
            "AMQP_URL": bool(self.amqp_url),
            "ANCHORE_URL": bool(self.anchore_url),
        }
        missing = [name for name, given in named.items() if not given]
        if missing and len(missing) < len(named):
            raise InvalidSettings(
                f"{' and '.join(missing)} not set: set REDIS_URL, AMQP_URL and ANCHORE_URL, or "
                "none of them to ask a running `imagegate up`"
            )
        return not missing
