"""Importing OSV records: files in, a new feed out, or the old one untouched.

```python
folder = FeedFolder(settings.feeds)
imported = import_records(folder, [Path("all.zip")], whole=["Debian"])
```
"""

from collections.abc import Iterable
from pathlib import Path

from services.scanner.feeds.folder import FeedFolder
from services.scanner.feeds.state import FeedRefused, Imported, Progress, no_progress


def import_records(
    folder: FeedFolder,
    sources: Iterable[Path],
    *,
    whole: Iterable[str] = (),
    as_of: int | None = None,
    leave_out_unreadable: bool = False,
    progress: Progress = no_progress,
) -> Imported:
    """Build a feed of `sources` and of what the folder's feed says of other ecosystems.

    `sources` are `.json` records, `.zip` archives of them (OSV's `all.zip`), or folders of both.
    Without `whole` they speak of the packages that they name, or that a descriptor
    `imagegate-feed.json` among them names:
    `{"as_of": "2026-11-25", "releases": {"Debian:12": {"covers": ["openssl", ...]}}}`.
    `whole` names the ecosystems (`Debian`, `PyPI`) of which they are the official dump: silence
    about a package of a release in it then means that nothing is known against it, and entries
    about other ecosystems do not count. Each ecosystem that they speak of replaces what the
    feed before said of it. Records of CVEs without packages (`GIT`) are kept for their scores.
    `as_of` (ms since the epoch) is when the dump was made; else the newest record's change.

    Blocks; call it in a thread. Raises FeedBusy; FeedRefused when a source cannot be read to its
    end, is a bomb, or holds records that are unreadable, so that nobody knows which packages
    they are about (`leave_out_unreadable` accepts that).
    """
    raise FeedRefused("not there yet")
