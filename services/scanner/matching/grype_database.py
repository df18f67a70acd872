"""What Grype's database speaks about, read from its tables.

No command of Grype tells it (docs/design/scanner-facts.md, "Grype"). Only tables and columns of
schema 6 are read, which later ones of the same model add to and never change.
"""

import sqlite3
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import closing
from pathlib import Path
from urllib.parse import quote

from services.scanner.matching.grype_releases import (
    Alias,
    Ecosystem,
    GrypeDatabase,
    Release,
    milliseconds,
)
from services.scanner.matching.port import MatchingFailed

MODEL = 6


def read_database(path: Path) -> GrypeDatabase:
    """Raises MatchingFailed for one that is not of schema 6."""
    try:
        # Immutable: Grype replaces the file and never changes it, and a folder that is mounted
        # read-only has no room for a journal.
        uri = f"file:{quote(str(path))}?mode=ro&immutable=1"
        with closing(sqlite3.connect(uri, uri=True)) as connection:
            (model,) = connection.execute("SELECT model FROM db_metadata").fetchone() or (None,)
            if model != MODEL:
                raise MatchingFailed(
                    f"Grype's database is of schema {model}, and this scanner reads {MODEL}: use a "
                    "Grype of that schema (0.88 or newer), or Imagegate's own feed "
                    "(IMAGEGATE_SCANNER_VULNERABILITIES=osv)"
                )
            return _read(connection)
    except (sqlite3.Error, ValueError) as error:
        raise MatchingFailed(
            f"what Grype's database speaks about cannot be read ({error}): run `grype db delete` "
            "and `grype db update`"
        ) from error


_COUNTS = """
    SELECT handle.operating_system_id, package.ecosystem, count(*)
    FROM affected_package_handles AS handle JOIN packages AS package
    ON package.id = handle.package_id GROUP BY 1, 2
"""
_CAPTURED = """
    SELECT provider.date_captured FROM affected_package_handles AS handle
    JOIN vulnerability_handles AS vulnerability ON vulnerability.id = handle.vulnerability_id
    JOIN providers AS provider ON provider.id = vulnerability.provider_id
    WHERE handle.operating_system_id = ? LIMIT 1
"""
_RELEASES = """
    SELECT id, name, release_id, major_version, minor_version, label_version, codename, eol_date
    FROM operating_systems WHERE channel IS NULL OR channel = '' ORDER BY id
"""
_ALIASES = """
    SELECT alias, version, version_pattern, codename, replacement, replacement_major_version,
    replacement_minor_version, replacement_label_version, rolling
    FROM operating_system_specifier_overrides
    WHERE applicable_client_db_schemas IS NULL OR applicable_client_db_schemas = ''
"""


def _read(connection: sqlite3.Connection) -> GrypeDatabase:
    counts: dict[int | None, Counter[str]] = {}
    for system, ecosystem, number in connection.execute(_COUNTS):
        counts.setdefault(system, Counter())[ecosystem] += number
    (by_cpe,) = connection.execute("SELECT EXISTS (SELECT 1 FROM affected_cpe_handles)").fetchone()
    renamed = "SELECT ecosystem, replacement_ecosystem FROM package_specifier_overrides"
    return GrypeDatabase(
        releases=tuple(_releases(connection, counts)),
        aliases=tuple(_aliases(connection)),
        ecosystems=tuple(
            Ecosystem(kind, records) for kind, records in sorted(counts.get(None, {}).items())
        ),
        renamed=dict(connection.execute(renamed).fetchall()),
        by_cpe=bool(by_cpe),
    )


def _releases(
    connection: sqlite3.Connection, counts: Mapping[int | None, Counter[str]]
) -> Iterator[Release]:
    """Those with records: of others Grype knows no more than their name."""
    for row in connection.execute(_RELEASES).fetchall():
        system, name, other, major, minor, label, codename, end = row
        if system not in counts:
            continue
        captured = connection.execute(_CAPTURED, (system,)).fetchone()
        yield Release(
            names=tuple(sorted({one.casefold() for one in (name, other) if one})),
            major=major or "",
            minor=minor or "",
            label=label or "",
            codename=codename or "",
            kinds=tuple(sorted(counts[system])),
            records=counts[system].total(),
            captured=milliseconds(captured[0]) if captured and captured[0] else None,
            ended=end[:10] if end else "",
        )


def _aliases(connection: sqlite3.Connection) -> Iterator[Alias]:
    for row in connection.execute(_ALIASES):
        name, version, pattern, codename, replacement, major, minor, label, rolling = row
        yield Alias(
            name=name,
            version=version or "",
            pattern=pattern or "",
            codename=codename or "",
            replacement=replacement,
            major=major,
            minor=minor,
            label=label,
            rolling=bool(rolling),
        )
