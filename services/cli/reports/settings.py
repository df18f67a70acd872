"""Settings of `imagegate scan --local`, beside those of the scanner itself."""

from pathlib import Path

from shared.runtime.state import StateSettings


class LocalSettings(StateSettings, frozen=True, kw_only=True):
    """A field `docker_config` is the variable DOCKER_CONFIG."""

    docker_config: Path | None = None
    """Docker's folder, whose config.json `docker login` writes; default: ~/.docker."""

    @property
    def docker_login(self) -> Path | None:
        """The file with the logins of `docker login`; None where there is none."""
        folder = self.docker_config or (self.home / ".docker" if self.home else None)
        file = folder / "config.json" if folder else None
        return file if file and file.is_file() else None

    @property
    def scan_folder(self) -> Path:
        """State of scans in this process: the folder of `imagegate scanner` is a server's."""
        return self.state_folder / "scan"
