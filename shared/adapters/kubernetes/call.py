"""One call of an API server, as HTTP puts it."""

from collections.abc import Mapping
from urllib.parse import urlencode

import msgspec
from yarl import URL

JSON = "application/json"


class Call(msgspec.Struct, frozen=True, kw_only=True):
    """Whatever is asked, and for how long."""

    method: str = "GET"
    path: str
    query: Mapping[str, str]
    body: bytes | None = None
    form: str = ""
    """The body's media type."""
    accept: str = JSON
    doing: str
    """As messages name it: "list pods"."""
    within: float | None
    """Seconds for the whole answer; None: as long as it takes."""

    def url(self, base: str) -> URL:
        """Where it goes; nothing of it is encoded anew."""
        query = f"?{urlencode(self.query)}" if self.query else ""
        return URL(f"{base}{self.path}{query}", encoded=True)

    def headers(self) -> dict[str, str]:
        """Those that are its own, and not its caller's."""
        form = {"Content-Type": self.form} if self.form else {}
        return {"Accept": self.accept} | form
