"""Where a process keeps its own files: keys, certificate, socket, databases."""

import os
import secrets
import stat
from contextlib import suppress
from pathlib import Path
from tempfile import NamedTemporaryFile

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


MIN_SECRET = 16
MAX_SECRET = 4096


def ensure_secret(path: Path) -> str:
    """The text in `path` (0600), a random one made at first use; raises InvalidSettings.

    Of several processes that make it at once all get the same.
    """
    try:
        if not path.exists():
            with suppress(FileExistsError):
                _create(path, secrets.token_urlsafe(32))
        return read_secret(path)
    except OSError as error:
        raise InvalidSettings(
            f"cannot make {path}: {error.strerror}; choose a state folder that this user may write"
        ) from error


def read_secret(path: Path) -> str:
    """The text in `path`, which only its owner may read; raises InvalidSettings, OSError."""
    with path.open("rb") as file:
        mode = stat.S_IMODE(os.fstat(file.fileno()).st_mode)
        text = file.read(MAX_SECRET).decode(errors="replace").strip()
    if mode & 0o077:
        raise InvalidSettings(
            f"{path} can be read by others (mode {mode:04o}): chmod 600 {path}, or remove it if "
            "others may have it, and another is made"
        )
    if len(text) < MIN_SECRET:
        raise InvalidSettings(f"{path} holds no secret: remove it, and one is made")
    return text


def _create(path: Path, text: str) -> None:
    """Put a whole file (0600) at a path where there is none; else FileExistsError."""
    with NamedTemporaryFile("w", dir=path.parent, prefix=f".{path.name}.") as file:
        file.write(f"{text}\n")
        file.flush()
        path.hardlink_to(file.name)
