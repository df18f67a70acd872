"""The folder of built feeds: `current` leads to the one that counts, and is replaced at once."""

from pathlib import Path

from services.scanner.feeds.state import FeedState


class FeedFolder:
    """`feed-IDENTITY.sqlite` files, `current` (a link to one of them) and a lock."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def current(self) -> Path | None:
        """The file of the feed that counts; None: there is none. One system call."""
        raise NotImplementedError

    def state(self) -> FeedState | None:
        """What the current feed says; None: there is none. Raises FeedError.

        Cheap while `current` stays the same."""
        raise NotImplementedError
