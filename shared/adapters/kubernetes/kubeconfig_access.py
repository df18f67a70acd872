"""Asking the API server of a kubeconfig's context: token, client certificate, exec plugin."""

import asyncio
import ssl
import tempfile
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import urlsplit

import msgspec

from shared.adapters.kubernetes.access import Access, Remedies, checked_url, is_token, token_in
from shared.adapters.kubernetes.exec_plugin import Credential, ExecProgram, has_terminal
from shared.adapters.kubernetes.kubeconfig import Chosen, Material
from shared.domain.errors import ClusterMisconfigured, InvalidSettings

EARLY = timedelta(seconds=60)
"""So long before a plugin's credential ends another is asked for."""

PROXIES = ("http", "https")


class KubeconfigServer(msgspec.Struct, frozen=True):
    """The API server of one context."""

    chosen: Chosen
    environ: Mapping[str, str]
    """What an exec plugin is started with."""
    terminal: bool

    @property
    def url(self) -> str:
        """As the cluster's `server`."""
        return self.chosen.server.rstrip("/")

    @property
    def host(self) -> str:
        """For messages."""
        return urlsplit(self.url).netloc

    def access(self) -> Access:
        """What is needed to ask it."""
        return KubeconfigAccess(self)


def kubeconfig_server(
    chosen: Chosen, *, environ: Mapping[str, str], terminal: bool | None = None
) -> KubeconfigServer:
    """`terminal`: whether a plugin may ask a person; None: where standard input is one.

    Raises InvalidSettings where it can never be asked so.
    """
    what = f"{chosen.source}: the server of the cluster {chosen.cluster!r}"
    shows = bool(chosen.token or chosen.token_file or chosen.plugin or chosen.certificate)
    checked_url(chosen.server, what=what, with_credentials=shows)
    if chosen.proxy:
        parts = urlsplit(chosen.proxy)
        if parts.scheme not in PROXIES or not parts.hostname:
            raise InvalidSettings(
                f"{chosen.source}: the proxy-url of the cluster {chosen.cluster!r} is none of "
                "http://HOST:PORT and https://HOST:PORT, and no other is spoken here (a SOCKS "
                "proxy: use a forwarded port and tls-server-name)"
            )
    server = KubeconfigServer(chosen, environ, has_terminal() if terminal is None else terminal)
    server.access().check()
    return server


class KubeconfigAccess:
    """`Access` by a kubeconfig; a plugin is run when it is first needed, and again when what it
    gave ends."""

    def __init__(
        self, server: KubeconfigServer, *, now: Callable[[], datetime] = lambda: datetime.now(UTC)
    ) -> None:
        chosen = server.chosen
        self.server_name = chosen.server_name
        self.proxy = chosen.proxy
        where = f"the context {chosen.context!r} of {chosen.source}"
        self.remedies = Remedies(
            refused=f"see whether `kubectl --context {chosen.context} get pods` works, and log in "
            f"again where {where} wants that",
            mistrusted=f"{where} must have the certificate of the authority that made its "
            "certificate (certificate-authority), for this very host or its tls-server-name",
            address=where,
        )
        self._chosen = chosen
        self._plain = server.url.startswith("http://")
        self._now = now
        self._program = None
        if chosen.plugin is not None:
            self._program = ExecProgram(
                chosen, chosen.plugin, environ=server.environ, terminal=server.terminal
            )
        self._given = Credential()
        self._has = False
        self._asking = asyncio.Lock()
        self._context: ssl.SSLContext | None = None

    def check(self) -> None:
        """Raises InvalidSettings where a file cannot be used; runs no plugin."""
        if self._program is not None:
            self._program.check()
        if not is_token(self._chosen.token):
            raise InvalidSettings(f"{self.remedies.address} holds no usable token: see its user")
        try:
            self.headers()
            if not self._plain:
                _context(self._chosen, self._chosen.certificate, self._chosen.key)
        except ClusterMisconfigured as error:
            raise InvalidSettings(str(error)) from error

    async def ready(self) -> None:
        """Run the plugin where there is one, and nothing that it gave counts any more."""
        if self._program is None:
            return
        async with self._asking:
            ends = self._given.expiration_timestamp
            if self._has and (ends is None or self._now() < _aware(ends) - EARLY):
                return
            self._given, self._has = await self._program.run(), True
            self._context = None

    def headers(self) -> dict[str, str]:
        """A token's file goes before a token: it is read as it is now."""
        chosen = self._chosen
        token = chosen.token or self._given.token
        if chosen.token_file is not None:
            token = token_in(chosen.token_file, remedy="see tokenFile in the kubeconfig")
        return {"Authorization": f"Bearer {token}"} if token else {}

    def trusted(self) -> ssl.SSLContext | bool:
        """Whom to believe, and the client certificate that is shown."""
        if self._plain:
            return True
        if self._context is None:
            certificate, key = self._chosen.certificate, self._chosen.key
            if self._given.client_certificate_data:
                certificate = Material(text=self._given.client_certificate_data)
                key = Material(text=self._given.client_key_data)
            self._context = _context(self._chosen, certificate, key)
        return self._context


def _context(chosen: Chosen, certificate: Material, key: Material) -> ssl.SSLContext:
    """Raises ClusterMisconfigured."""
    authority = chosen.authority
    where = f"{chosen.source}: the certificate-authority of the cluster {chosen.cluster!r}"
    try:
        context = ssl.create_default_context(cafile=authority.file, cadata=authority.text or None)
    except OSError as error:
        raise _unusable(where, authority, error) from error
    if certificate:
        where = f"{chosen.source}: the client certificate of the context {chosen.context!r}"
        try:
            _show(context, certificate, key)
        except (OSError, ValueError) as error:
            raise _unusable(where, certificate, error) from error
    return context


def _show(context: ssl.SSLContext, certificate: Material, key: Material) -> None:
    """Only files can be loaded: what is none becomes one for this moment, in a private folder."""
    with tempfile.TemporaryDirectory(prefix="imagegate-") as folder:
        shown = certificate.file or _written(Path(folder) / "certificate", certificate.text)
        private = key.file or _written(Path(folder) / "key", key.text)
        # A key with a password would be asked for at the terminal.
        context.load_cert_chain(shown, private, password=lambda: "")


def _written(file: Path, text: str) -> Path:
    file.touch(mode=0o600)
    file.write_text(text)
    return file


def _unusable(where: str, what: Material, error: Exception) -> ClusterMisconfigured:
    file = f" ({what.file})" if what.file else ""
    reason = (getattr(error, "strerror", None) or "no usable text").lower()
    if isinstance(error, ssl.SSLError):
        reason = "it is no PEM, or a key that does not belong to it or has a password"
    return ClusterMisconfigured(f"{where}{file} cannot be used: {reason}")


def _aware(moment: datetime) -> datetime:
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
