"""The feed that a new scanner begins with: the package's own records (services/scanner/data/feed).

A handful of Debian 12's packages, so that the rules can be seen at work; every other package is
unknown. The first import replaces it.
"""

import hashlib
import logging
from importlib.resources import files
from pathlib import Path

from services.scanner.feeds.folder import FeedFolder
from services.scanner.feeds.importing import import_records
from services.scanner.feeds.schema import is_demonstration
from services.scanner.feeds.state import FeedBusy, FeedError

log = logging.getLogger(__name__)

RECORDS = Path(str(files("services.scanner"))) / "data" / "feed"


def begin(folder: FeedFolder) -> None:
    """See that there is a feed. One that was imported stays, also one that cannot be read.

    Blocks for a moment. Raises FeedError when the folder cannot be used.
    """
    digest = _digest()
    if (file := folder.current()) is not None:
        try:
            state = folder.state()
        except FeedError as error:
            if not is_demonstration(file):
                log.error("the feed cannot be read", extra={"reason": str(error)})
                return
        else:
            if state is None or state.demonstration in {"", digest}:
                return
    try:
        import_records(folder, [RECORDS], demonstration=digest)
    except FeedBusy:
        log.info("a feed is being imported: no demonstration feed is built")


def _digest() -> str:
    """Of the package's records: another release of it may have others."""
    digest = hashlib.sha256()
    for file in sorted(RECORDS.glob("*.json")):
        digest.update(file.read_bytes())
    return digest.hexdigest()[:16]
