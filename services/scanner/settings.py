"""The built-in scanner's settings: environment variables by the fields' names, in capitals."""

import os
from pathlib import Path
from typing import Annotated, Literal

import msgspec

from shared.domain.errors import InvalidSettings
from shared.runtime.process import ProcessSettings
from shared.runtime.settings import Port, Secret

LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})

MIB = 1024**2
GIB = 1024**3

Few = Annotated[int, msgspec.Meta(ge=1, le=32)]
Bytes = Annotated[int, msgspec.Meta(ge=MIB)]
Memory = Annotated[int, msgspec.Meta(ge=GIB)]
Seconds = Annotated[float, msgspec.Meta(gt=0, le=86_400)]


class GrypeSettings(ProcessSettings, frozen=True, kw_only=True):
    """Where what is known about vulnerabilities comes from, and what Grype can be told."""

    imagegate_scanner_vulnerabilities: Literal["osv", "grype"] = "osv"
    """Imagegate's own feed of OSV records, or Grype with its own database."""
    imagegate_scanner_grype_cache: Path | None = None
    """Grype's folder of databases (its GRYPE_DB_CACHE_DIR); none: grype/ in the scanner's part of
    the state folder."""
    imagegate_scanner_grype_seconds: Seconds = 60.0
    """One run of Grype about one image."""
    imagegate_scanner_grype_update_hours: Annotated[float, msgspec.Meta(ge=0, le=168)] = 0.0
    """Between two looks for a newer database; 0: it is brought by somebody else. Off by itself:
    a scanner asks nobody on the internet that it was not told to."""
    path: str = os.defpath
    """Where a `syft` of your own, and `grype`, are looked for: PATH."""

    @property
    def grype_cache(self) -> Path:
        """Grype's folder of databases."""
        return self.imagegate_scanner_grype_cache or self.state_folder / "scanner" / "grype"


class FeedSettings(GrypeSettings, frozen=True, kw_only=True):
    """Where the vulnerability records are, and where they come from: the scanner's, and the
    `imagegate feeds` commands' on the same machine."""

    imagegate_scanner_feed: Path | None = None
    """Folder of the feed; none: feeds/ in the scanner's part of the state folder."""
    imagegate_scanner_sync: tuple[str, ...] = ()
    """Ecosystems of OSV whose dumps the scanner keeps its feed up to date with, by itself;
    `default` stands for the distributions and the scores. None: it asks nobody."""
    imagegate_scanner_sync_hours: Annotated[float, msgspec.Meta(ge=0.1, le=168)] = 6.0
    """Between two syncs; a tenth more or less, so that many scanners do not come together."""
    imagegate_scanner_sync_url: str = "https://osv-vulnerabilities.storage.googleapis.com"
    """Where the dumps are: OSV's own, or a mirror's (`URL/Debian/all.zip`)."""
    imagegate_scanner_sync_proxy: Secret = Secret("")
    """`http://[USER:PASSWORD@]HOST:PORT`, for the dumps alone; what `https_proxy` says is not
    used."""
    imagegate_scanner_sync_ca: Path | None = None
    """CA file of a mirror's certificate; none: those that this machine trusts."""
    imagegate_scanner_import_memory: Memory = 2 * GIB
    """Address space of the process that reads dumps, beside the server."""

    @property
    def folder(self) -> Path:
        """The scanner's own part of the state folder."""
        return self.state_folder / "scanner"

    @property
    def feeds(self) -> Path:
        """The folder of the feed."""
        return self.imagegate_scanner_feed or self.folder / "feeds"


class ScannerSettings(FeedSettings, frozen=True, kw_only=True):
    """Everything the scanner can be told. Sizes in bytes, times in seconds."""

    imagegate_scanner_host: str = "127.0.0.1"
    imagegate_scanner_port: Port = 8228
    """0 chooses a free one."""
    imagegate_scanner_user: str = ""
    imagegate_scanner_password: Secret = Secret("")
    """Basic authentication of /v1; may be left out on a loopback address only. Several, one a line,
    while it changes; its file is read again when it does."""
    imagegate_rules: Path | None = None
    """The rules file whose `registries` say how images are pulled; none: anonymous HTTPS."""
    imagegate_scanner_analyses: Few = 2
    """Analyses at a time."""
    imagegate_scanner_judges: Few = 2
    """Child processes that match and evaluate."""
    imagegate_scanner_max_image: Bytes = 2 * GIB
    """One image's compressed layers and config together."""
    imagegate_scanner_max_disk: Bytes = 8 * GIB
    """One analysis: the layers as pulled, and what Syft unpacks of them."""
    imagegate_scanner_max_files: Annotated[int, msgspec.Meta(ge=1)] = 500_000
    """Entries of all layers of one image together."""
    imagegate_scanner_max_memory: Memory = 4 * GIB
    """Address space of one Syft. It uses 0.2 GiB for a Debian image, and Go reserves more than
    it uses: below 1 GB it dies at its start (docs/design/scanner-facts.md). 4 GiB leaves a
    large image room and still keeps a hostile one from taking the machine."""
    imagegate_scanner_registry_seconds: Seconds = 30.0
    """The registry's answer while a client waits for POST /v1/images."""
    imagegate_scanner_pull_seconds: Seconds = 600.0
    imagegate_scanner_analysis_seconds: Seconds = 120.0
    """Reading the layers, and then one run of Syft: each."""
    imagegate_scanner_evaluation_seconds: Seconds = 10.0

    imagegate_scanner_keep_days: Annotated[float, msgspec.Meta(ge=0)] = 90.0
    """Images that nobody asked about for so long are forgotten; 0: none for that reason."""
    imagegate_scanner_max_store: Bytes = 4 * GIB
    """The database: above it those go that were used least recently."""
    imagegate_scanner_notify_url: str = ""
    """The intake's `http://intake:8088/events/anchore`: it hears of what turned; none: nobody."""
    imagegate_scanner_notify_user: str = "anchore"
    imagegate_scanner_notify_password: Secret = Secret("")
    """The intake's IMAGEGATE_EVENTS_USER and IMAGEGATE_EVENTS_PASSWORD. Of several, one a line, the
    first is sent."""
    imagegate_scanner_notify_ca: Path | None = None
    """CA file of the intake's certificate; none: those that this machine trusts."""
    imagegate_health_host: str = "127.0.0.1"
    imagegate_health_port: Port = 8085

    def __post_init__(self) -> None:
        if self.imagegate_scanner_sync and self.imagegate_scanner_vulnerabilities == "grype":
            raise InvalidSettings(
                "IMAGEGATE_SCANNER_SYNC is set, and IMAGEGATE_SCANNER_VULNERABILITIES is grype, "
                "which has a database of its own: unset one of them"
            )
        user, password = self.imagegate_scanner_user, self.imagegate_scanner_password
        if bool(user) != bool(password):
            missing = "PASSWORD" if user else "USER"
            raise InvalidSettings(
                f"IMAGEGATE_SCANNER_{missing} is empty: set both user and password, or neither"
            )
        if ":" in user:
            raise InvalidSettings("IMAGEGATE_SCANNER_USER must not hold a colon: choose another")
        if not user and self.imagegate_scanner_host not in LOOPBACK:
            raise InvalidSettings(
                "IMAGEGATE_SCANNER_USER and IMAGEGATE_SCANNER_PASSWORD must be set to listen on "
                f"{self.imagegate_scanner_host}: only a loopback address may go without"
            )
        notify = self.imagegate_scanner_notify_url
        if notify and not notify.startswith(("http://", "https://")):
            raise InvalidSettings(
                "IMAGEGATE_SCANNER_NOTIFY_URL must be the intake's address with its path, such as "
                "http://intake:8088/events/anchore"
            )

    def passwords(self) -> tuple[str, ...]:
        """All that count at this moment; the first is the one to send."""
        return _lines(self.imagegate_scanner_password)

    def notify_password(self) -> str:
        """The one to send to the intake at this moment."""
        return next(iter(_lines(self.imagegate_scanner_notify_password)), "")


def _lines(secret: Secret) -> tuple[str, ...]:
    lines = secret.current().splitlines()
    return tuple(line.strip() for line in lines if line.strip())
