"""Where a process keeps its own files: keys, certificate, socket, databases."""

from pathlib import Path

import msgspec

from shared.domain.errors import InvalidSettings


class StateSettings(msgspec.Struct, frozen=True, kw_only=True):
    """The state folder: IMAGEGATE_STATE, else imagegate/ where XDG keeps a user's state."""

    imagegate_state: Path | None = None
    xdg_state_home: Path | None = None
    home: Path | None = None

    @property
    def state_folder(self) -> Path:
        """The folder, not yet made; raises InvalidSettings when there is no telling where."""
        if self.imagegate_state is not None:
            return self.imagegate_state
        if self.xdg_state_home is not None:
            return self.xdg_state_home / "imagegate"
        if self.home is not None:
            return self.home / ".local" / "state" / "imagegate"
        raise InvalidSettings("IMAGEGATE_STATE is not set, and neither is HOME: set one of them")


def ensure_private_folder(folder: Path) -> Path:
    """Make `folder` for its owner only (0700); raises InvalidSettings."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise InvalidSettings(
            f"cannot make the folder {folder}: {error.strerror}; set IMAGEGATE_STATE to one that "
            "this user may write"
        ) from error
    return folder
