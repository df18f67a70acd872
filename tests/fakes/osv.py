"""OSV's dumps as its exporter writes them, as small or as large as a test wants."""

import io
import json
import zipfile
from typing import Any

MODIFIED = "2025-10-01T06:00:00Z"
CRITICAL = "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H"


def debian(number: int, *, release: str = "12", package: str = "") -> dict[str, Any]:
    """A record about one CVE, without a severity, as Debian's are."""
    return {
        "schema_version": "1.7.3",
        "id": f"DEBIAN-CVE-2025-{number:05d}",
        "modified": MODIFIED,
        "published": MODIFIED,
        "upstream": [f"CVE-2025-{number:05d}"],
        "affected": [
            {
                "package": {"ecosystem": f"Debian:{release}", "name": package or f"p{number}"},
                "ranges": [
                    {"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"fixed": "1.2-3"}]}
                ],
            }
        ],
    }


def alpine(number: int) -> dict[str, Any]:
    """A record about one CVE in Alpine 3.22."""
    return {
        **debian(number),
        "id": f"ALPINE-CVE-2025-{number:05d}",
        "affected": [
            {
                "package": {"ecosystem": "Alpine:v3.22", "name": f"p{number}"},
                "ranges": [
                    {"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"fixed": "1.2-r3"}]}
                ],
            }
        ],
    }


def cve(number: int) -> dict[str, Any]:
    """A record of the GIT dump: no package, but a score."""
    return {
        "schema_version": "1.7.3",
        "id": f"CVE-2025-{number:05d}",
        "modified": MODIFIED,
        "severity": [{"type": "CVSS_V3", "score": CRITICAL}],
        "affected": [{"ranges": [{"type": "GIT", "repo": "https://git.test/x", "events": []}]}],
    }


def dump(*records: dict[str, Any]) -> bytes:
    """`all.zip`."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as archive:
        for record in records:
            archive.writestr(f"{record['id']}.json", json.dumps(record))
    return content.getvalue()
