"""Where the Kubernetes API is, what it is shown, and whose certificate it must show.

Token and CA file are read again as they change: the kubelet replaces both while a pod runs.
"""

import ssl
from pathlib import Path
from typing import Protocol
from urllib.parse import urlsplit

import msgspec

from shared.adapters.kubernetes.limits import MAX_TOKEN_BYTES
from shared.domain.errors import ClusterMisconfigured, InvalidSettings
from shared.domain.host import is_loopback

SERVICE_ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
"""Where the kubelet puts what a pod needs to ask the API server."""

_MOUNTED = "in a pod it is mounted where automountServiceAccountToken is true; else set "

Stamp = tuple[int, int, int]


class Remedies(msgspec.Struct, frozen=True):
    """What to do where one side does not take what the other shows."""

    refused: str = (
        "the file must hold one of this cluster that has not ended (in a pod: "
        "automountServiceAccountToken; else IMAGEGATE_KUBERNETES_TOKEN_FILE)"
    )
    """By the API server, of us (401)."""
    mistrusted: str = (
        "the CA file must hold the certificate of the authority that made its certificate, for "
        "this very host (IMAGEGATE_KUBERNETES_CA; in a pod ca.crt beside the token)"
    )
    """By us, of its certificate."""
    address: str = "IMAGEGATE_KUBERNETES_URL"
    """Where its address stands."""


BY_SETTINGS = Remedies()


class Access(Protocol):
    """What is needed to ask one API server."""

    server_name: str
    """The name that its certificate must have; empty: the host's."""
    proxy: str
    """The HTTP proxy on the way; empty: none."""
    remedies: Remedies

    def check(self) -> None:
        """Raises InvalidSettings where a file cannot be used."""

    async def ready(self) -> None:
        """Before each call: have what is shown, where that must be had from somebody. Raises
        ClusterMisconfigured."""

    def headers(self) -> dict[str, str]:
        """Who we are. Raises ClusterMisconfigured."""

    def trusted(self) -> ssl.SSLContext | bool:
        """Whom to believe, as aiohttp wants it. Raises ClusterMisconfigured."""


class Server(Protocol):
    """One API server, whoever names it."""

    @property
    def url(self) -> str:
        """`https://HOST:PORT`, with a path where a proxy wants one; no slash at the end."""

    @property
    def host(self) -> str:
        """For messages."""

    def access(self) -> Access:
        """What is needed to ask it."""


class ApiServer(msgspec.Struct, frozen=True):
    """One API server, as settings name it."""

    url: str
    """`https://HOST:PORT`, with a path where a proxy wants one; no slash at the end."""
    token_file: Path | None = None
    """None: no token is shown."""
    ca_file: Path | None = None
    """None: whom this machine trusts."""

    @property
    def host(self) -> str:
        """For messages."""
        return urlsplit(self.url).netloc

    def access(self) -> Access:
        """What is needed to ask it."""
        return FileAccess(self)


def api_server(
    *,
    url: str = "",
    token_file: Path | None = None,
    ca_file: Path | None = None,
    pod_host: str = "",
    pod_port: int = 443,
) -> ApiServer | None:
    """The one that `url` names, else the one of the cluster that this pod runs in; None: neither.

    `pod_host` and `pod_port` are what the kubelet says (KUBERNETES_SERVICE_HOST and _PORT).
    Raises InvalidSettings.
    """
    shows = token_file is not None
    if url:
        url = checked_url(
            url.strip(),
            what="IMAGEGATE_KUBERNETES_URL",
            with_credentials=shows,
            token_place="the file that IMAGEGATE_KUBERNETES_TOKEN_FILE names",
        )
        return ApiServer(url, token_file, ca_file)
    if pod_host:
        host = f"[{pod_host}]" if ":" in pod_host else pod_host
        url = f"https://{host}:{pod_port}"
        return ApiServer(
            checked_url(url, what="KUBERNETES_SERVICE_HOST", with_credentials=shows),
            token_file or SERVICE_ACCOUNT / "token",
            ca_file or SERVICE_ACCOUNT / "ca.crt",
        )
    if token_file or ca_file:
        raise InvalidSettings(
            "IMAGEGATE_KUBERNETES_TOKEN_FILE or IMAGEGATE_KUBERNETES_CA is set, and "
            "IMAGEGATE_KUBERNETES_URL is not: set it, for instance to https://HOST:6443, or unset "
            "these"
        )
    return None


def checked_url(
    url: str, *, what: str, with_credentials: bool, token_place: str = "a file of its own"
) -> str:
    """The URL without a slash at its end. `what` names it in messages, `token_place` where a token
    belongs; raises InvalidSettings."""
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname or "", parts.port
    except ValueError as error:
        raise InvalidSettings(
            f"{what} is not a URL: it must look like https://HOST:6443"
        ) from error
    if parts.scheme not in ("http", "https") or not host or not url.isascii():
        raise InvalidSettings(f"{what} must look like https://HOST:6443")
    if "@" in parts.netloc or parts.query or parts.fragment:
        raise InvalidSettings(
            f"{what} must be a host, a port and at most a path: a token goes into {token_place}"
        )
    if parts.scheme == "http" and (with_credentials or not is_loopback(host)):
        raise InvalidSettings(
            f"{what} is plain HTTP, which is only for `kubectl proxy` on this machine, without a "
            "token: labels choose rules, and others could change them on the way. Set it to "
            "https://..."
        )
    return url.rstrip("/")


class FileAccess:
    """`Access` by the files that settings name, or the kubelet put there."""

    server_name = ""
    proxy = ""
    remedies = BY_SETTINGS

    def __init__(self, server: ApiServer) -> None:
        self.server = server
        self._context: ssl.SSLContext | None = None
        self._stamp: Stamp | None = None

    def check(self) -> None:
        """Raises InvalidSettings where a file cannot be used."""
        try:
            self.headers()
            self.trusted()
        except ClusterMisconfigured as error:
            raise InvalidSettings(str(error)) from error

    async def ready(self) -> None:
        """The files are there at all times."""

    def headers(self) -> dict[str, str]:
        """Who we are. Raises ClusterMisconfigured."""
        path = self.server.token_file
        if path is None:
            return {}
        token = token_in(path, remedy=f"{_MOUNTED}IMAGEGATE_KUBERNETES_TOKEN_FILE")
        return {"Authorization": f"Bearer {token}"}

    def trusted(self) -> ssl.SSLContext | bool:
        """Whom to believe, as aiohttp wants it. Raises ClusterMisconfigured."""
        if self.server.url.startswith("http://"):
            return True
        path = self.server.ca_file
        try:
            stamp = _stamp(path) if path else None
            if self._context is None or stamp != self._stamp:
                self._context = ssl.create_default_context(cafile=path)
                self._stamp = stamp
        except OSError as error:
            raise _unusable(path, "CA file", error, f"{_MOUNTED}IMAGEGATE_KUBERNETES_CA") from error
        return self._context


def token_in(path: Path, *, remedy: str) -> str:
    """The token that a file holds now; `remedy`: what to do where there is none. Raises
    ClusterMisconfigured."""
    try:
        with path.open("rb") as file:
            token = file.read(MAX_TOKEN_BYTES + 1).decode().strip()
    except (OSError, UnicodeDecodeError) as error:
        raise _unusable(path, "token", error, remedy) from error
    if not token or len(token) > MAX_TOKEN_BYTES or not is_token(token):
        raise ClusterMisconfigured(
            f"the file {path} holds no token for the Kubernetes API: it must hold one, and nothing "
            "else"
        )
    return token


def _stamp(path: Path) -> Stamp:
    status = path.stat()
    return (status.st_mtime_ns, status.st_size, status.st_ino)


def is_token(token: str) -> bool:
    """Whether it can be sent as one; nothing at all is none that cannot."""
    return token.isascii() and token.isprintable() and " " not in token


def _unusable(path: Path | None, what: str, error: Exception, remedy: str) -> ClusterMisconfigured:
    reason = (getattr(error, "strerror", None) or "no text").lower()
    if isinstance(error, ssl.SSLError):
        reason = "it holds no PEM certificate"
    return ClusterMisconfigured(
        f"the {what} {path} for the Kubernetes API cannot be used: {reason}; {remedy}"
    )
