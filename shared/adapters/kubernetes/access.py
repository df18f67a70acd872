"""Where the Kubernetes API is, what it is shown, and whose certificate it must show.

Token and CA file are read again as they change: the kubelet replaces both while a pod runs.
"""

import ssl
from ipaddress import ip_address
from pathlib import Path
from urllib.parse import urlsplit

import msgspec

from shared.adapters.kubernetes.limits import MAX_TOKEN_BYTES
from shared.domain.errors import ClusterMisconfigured, InvalidSettings

SERVICE_ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
"""Where the kubelet puts what a pod needs to ask the API server."""

_LOOPBACK = ("localhost", "127.0.0.1", "::1")
_MOUNTED = (
    "in a pod it is mounted where automountServiceAccountToken is true (k8s/base/webhook.yaml); "
    "else set "
)

Stamp = tuple[int, int, int]


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
    if url:
        return ApiServer(_checked(url.strip(), token_file), token_file, ca_file)
    if pod_host:
        host = f"[{pod_host}]" if ":" in pod_host else pod_host
        return ApiServer(
            _checked(f"https://{host}:{pod_port}", token_file),
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


def _checked(url: str, token_file: Path | None) -> str:
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname or "", parts.port
    except ValueError as error:
        raise InvalidSettings(
            "IMAGEGATE_KUBERNETES_URL is not a URL: it must look like https://HOST:6443"
        ) from error
    if parts.scheme not in ("http", "https") or not host or not url.isascii():
        raise InvalidSettings("IMAGEGATE_KUBERNETES_URL must look like https://HOST:6443")
    if "@" in parts.netloc or parts.query or parts.fragment:
        raise InvalidSettings(
            "IMAGEGATE_KUBERNETES_URL must be a host, a port and at most a path: a token goes into "
            "the file that IMAGEGATE_KUBERNETES_TOKEN_FILE names"
        )
    if parts.scheme == "http" and (token_file or not _is_loopback(host)):
        raise InvalidSettings(
            "IMAGEGATE_KUBERNETES_URL is plain HTTP, which is only for `kubectl proxy` on this "
            "machine, without a token: labels choose rules, and others could change them on the "
            "way. Set it to https://..."
        )
    return url.rstrip("/")


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host in _LOOPBACK


class Access:
    """What is needed to ask one API server."""

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

    def headers(self) -> dict[str, str]:
        """Who we are. Raises ClusterMisconfigured."""
        path = self.server.token_file
        if path is None:
            return {}
        try:
            with path.open("rb") as file:
                token = file.read(MAX_TOKEN_BYTES + 1).decode().strip()
        except (OSError, UnicodeDecodeError) as error:
            raise _unusable(path, "token", error, "IMAGEGATE_KUBERNETES_TOKEN_FILE") from error
        if not token or len(token) > MAX_TOKEN_BYTES or not _is_header(token):
            raise ClusterMisconfigured(
                f"the file {path} holds no token for the Kubernetes API: it must hold one, and "
                "nothing else"
            )
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
            raise _unusable(path, "CA file", error, "IMAGEGATE_KUBERNETES_CA") from error
        return self._context


def _stamp(path: Path) -> Stamp:
    status = path.stat()
    return (status.st_mtime_ns, status.st_size, status.st_ino)


def _is_header(token: str) -> bool:
    return token.isascii() and token.isprintable() and " " not in token


def _unusable(path: Path | None, what: str, error: Exception, setting: str) -> ClusterMisconfigured:
    reason = (getattr(error, "strerror", None) or "no text").lower()
    if isinstance(error, ssl.SSLError):
        reason = "it holds no PEM certificate"
    return ClusterMisconfigured(
        f"the {what} {path} for the Kubernetes API cannot be used: {reason}; {_MOUNTED}{setting}"
    )
