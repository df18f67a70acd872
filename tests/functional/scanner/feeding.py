"""Feeds of a few records, for a scanner that runs."""

import asyncio
import json
from pathlib import Path
from typing import Any

from services.scanner.feeds.folder import FeedFolder
from services.scanner.feeds.importing import import_records

CRITICAL = "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H"
UNHEARD_OF = "CVE-2099-4711"


def about(source: str, cve: str = UNHEARD_OF) -> dict[str, Any]:
    """A critical vulnerability of every version of a source package of Debian 12."""
    return {
        "id": f"DEBIAN-{cve}",
        "modified": "2026-11-25T00:00:00Z",
        "upstream": [cve],
        "severity": [{"type": "CVSS_V3", "score": CRITICAL}],
        "affected": [
            {
                "package": {"ecosystem": "Debian:12", "name": source},
                "ranges": [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}]}],
            }
        ],
    }


async def feed(feeds: Path, *records: dict[str, Any]) -> None:
    """The feed in the folder `feeds` is one of all Debian that knows these records."""
    folder = feeds.with_name(f"{feeds.name}-records")
    folder.mkdir(exist_ok=True)
    for file in folder.iterdir():
        file.unlink()
    for number, record in enumerate((about("nobody-has-this", "CVE-2099-0001"), *records)):
        (folder / f"{number}.json").write_text(json.dumps(record))
    await asyncio.to_thread(import_records, FeedFolder(feeds), [folder], whole=["Debian"])
