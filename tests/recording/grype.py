"""Asks a real Grype what the tests' fake one replays: `python -m tests.recording.grype DATABASE`.

DATABASE is the file that `tests/data/grype/database` writes. With `--check` nothing is written:
what is recorded is compared with what it says today. See tests/data/grype/README.md.
"""

import argparse
import difflib
import json
import os
import re
import shutil
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from services.scanner.matching.grype_sbom import write_sbom
from tests.fakes.grype import CACHE, DATA, Said, facts_of, images

BUILT = "UPDATE db_metadata SET build_timestamp = '2026-11-25 06:00:00+00:00'"
STALE = "UPDATE db_metadata SET build_timestamp = '2026-11-10 06:00:00+00:00'"
_DID = {True: "differ", False: "written"}
_TABLES = """
    CREATE TABLE db_metadata AS SELECT * FROM whole.db_metadata;
    CREATE TABLE providers AS SELECT * FROM whole.providers ORDER BY id;
    CREATE TABLE operating_systems AS SELECT * FROM whole.operating_systems ORDER BY id;
    CREATE TABLE operating_system_specifier_overrides AS
        SELECT * FROM whole.operating_system_specifier_overrides ORDER BY rowid;
    CREATE TABLE packages AS SELECT * FROM whole.packages ORDER BY id;
    CREATE TABLE package_specifier_overrides AS
        SELECT * FROM whole.package_specifier_overrides ORDER BY 1;
    CREATE TABLE vulnerability_handles AS
        SELECT id, name, provider_id FROM whole.vulnerability_handles ORDER BY id;
    CREATE TABLE affected_package_handles AS
        SELECT id, vulnerability_id, operating_system_id, package_id
        FROM whole.affected_package_handles ORDER BY id;
    CREATE TABLE affected_cpe_handles AS
        SELECT id, vulnerability_id, cpe_id FROM whole.affected_cpe_handles ORDER BY id;
"""
"""What imagegate reads of the database; the rest is Grype's own."""


class Recorder:
    """A real Grype in a folder of its own."""

    def __init__(self, grype: str, folder: Path) -> None:
        self._grype = grype
        self.folder = folder

    def run(self, cache: Path, *arguments: str, age: bool = False) -> Said:
        """Ask it; texts without the paths of this machine."""
        environ = {
            "HOME": str(self.folder),
            "TMPDIR": str(self.folder),
            "PATH": os.defpath,
            "GRYPE_CHECK_FOR_APP_UPDATE": "false",
            "GRYPE_DB_AUTO_UPDATE": "false",
            "GRYPE_DB_CACHE_DIR": str(cache),
            "GRYPE_DB_VALIDATE_AGE": "true" if age else "false",
            "GRYPE_DB_UPDATE_URL": "https://grype.invalid/databases",
        }
        command = [self._grype, *arguments]
        done = subprocess.run(
            command, check=False, capture_output=True, env=environ, cwd=self.folder
        )
        paths = {str(cache): CACHE, str(self.folder): "/run"}
        stdout, stderr = (_lasting(one.decode(), paths) for one in (done.stdout, done.stderr))
        return Said(done.returncode, stdout, stderr)

    def cache(self, name: str, database: Path, sql: str = "", *, after: bool = False) -> Path:
        """A folder with the database, changed before it is imported, or after."""
        cache, changed = self.folder / name, self.folder / "vulnerability.db"
        shutil.copy(database, changed)
        if not after:
            _change(changed, sql)
        imported = self.run(cache, "db", "import", str(changed))
        assert imported.exit == 0, imported
        if after:
            _change(cache / "6" / "vulnerability.db", sql)
        return cache


def record(grype: str, database: Path, folder: Path) -> dict[str, str]:
    """All recordings, by their path below tests/data/grype."""
    asked = Recorder(grype, folder)
    valid = asked.cache("valid", database, BUILT)
    said = _of_databases(asked, valid, database) | _of_scans(asked, valid)
    recorded = {
        "said.json": _json({name: msgspec.structs.asdict(one) for name, one in said.items()}),
        "database.sql": _dump(valid / "6" / "vulnerability.db"),
    }
    for image in images():
        recorded |= _about(asked, valid, image)
    return recorded


def _of_databases(asked: Recorder, valid: Path, database: Path) -> dict[str, Said]:
    stale = asked.cache("stale", database, STALE)
    schema = asked.cache("schema", database, "UPDATE db_metadata SET model = 7", after=True)
    changed = asked.cache("checksum", database, "UPDATE db_metadata SET addition = 0", after=True)
    garbage = asked.folder / "garbage"
    (garbage / "6").mkdir(parents=True)
    (garbage / "6" / "vulnerability.db").write_bytes(b"no database" * 1000)
    command = ("db", "status", "-o", "json")
    return {
        "version": asked.run(valid, "version", "-o", "json"),
        "providers": asked.run(valid, "db", "providers", "-o", "json"),
        "update offline": asked.run(valid, "db", "update"),
        "status valid": asked.run(valid, *command),
        "status none": asked.run(asked.folder / "none", *command),
        "status stale": asked.run(stale, *command, age=True),
        "status schema": asked.run(schema, *command),
        "status checksum": asked.run(changed, *command),
        "status garbage": asked.run(garbage, *command),
    }


def _of_scans(asked: Recorder, valid: Path) -> dict[str, Said]:
    broken, sbom = asked.folder / "broken.json", asked.folder / "sbom.json"
    broken.write_text('{"artifacts": [')
    sbom.write_bytes(write_sbom(facts_of("debian-12")))
    command = (f"sbom:{sbom}", "-o", "json")
    return {
        "scan none": asked.run(asked.folder / "none", *command),
        "scan stale": asked.run(asked.folder / "stale", *command, age=True),
        "scan schema": asked.run(asked.folder / "schema", *command),
        "scan broken": asked.run(valid, f"sbom:{broken}", "-o", "json"),
    }


def _about(asked: Recorder, cache: Path, image: str) -> dict[str, str]:
    ours = asked.folder / "ours.json"
    ours.write_bytes(write_sbom(facts_of(image)))
    recorded = {f"images/{image}/ours.json": _json(json.loads(ours.read_bytes()))}
    theirs = DATA / "images" / image / "syft.json"
    for name, sbom in (("ours", ours), ("syft", theirs)):
        said = asked.run(cache, f"sbom:{sbom}", "-o", "json")
        assert said.exit == 0, (image, name, said)
        recorded[f"images/{image}/answer-to-{name}.json"] = _json(_kept(json.loads(said.stdout)))
    return recorded


def _kept(answer: dict[str, Any]) -> dict[str, Any]:
    """Without how it was configured, when it ran, and where the SBOM was."""
    descriptor = answer["descriptor"]
    kept = {name: descriptor[name] for name in ("name", "version", "db") if name in descriptor}
    return answer | {"descriptor": kept, "source": None}


def _lasting(text: str, paths: Mapping[str, str]) -> str:
    """Without what is another one on each machine, or each day."""
    for path, shown in paths.items():
        text = text.replace(path, shown)
    text = re.sub(r"xxh64:[0-9a-f]{16}", "xxh64:0123456789abcdef", text)
    text = re.sub(r"was built .* ago", "was built 2 weeks ago", text)
    return re.sub(r"(lookup [a-z.]+) on [0-9.:]+", r"\1", text)


def _change(file: Path, sql: str) -> None:
    connection = sqlite3.connect(file)
    connection.executescript(sql)
    connection.close()


def _dump(file: Path) -> str:
    """SQL that makes the tables that imagegate reads."""
    kept = sqlite3.connect(":memory:")
    kept.execute("ATTACH ? AS whole", (str(file),))
    kept.executescript(_TABLES)
    kept.execute("DETACH whole")
    text = "\n".join(kept.iterdump())
    kept.close()
    return f"{text}\n"


def _json(what: object) -> str:
    return json.dumps(what, indent=1, ensure_ascii=False) + "\n"


def main() -> int:
    """Record, or compare; the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("database", type=Path)
    parser.add_argument("--grype", default=shutil.which("grype"))
    parser.add_argument("--check", action="store_true")
    options = parser.parse_args()
    if options.grype is None:
        parser.error("no grype on PATH: name one with --grype")
    with tempfile.TemporaryDirectory() as folder:
        recorded = record(options.grype, options.database.absolute(), Path(folder))
    wrong = 0
    for name, text in recorded.items():
        path = DATA / name
        before = path.read_text() if path.exists() else ""
        if before == text:
            continue
        wrong += 1
        if options.check:
            lines = (before.splitlines(), text.splitlines())
            sys.stdout.writelines(f"{one}\n" for one in difflib.unified_diff(*lines, name, name))
        else:
            path.write_text(text)
    sys.stdout.write(f"{len(recorded)} recordings, {wrong} {_DID[options.check]}\n")
    return 1 if options.check and wrong else 0


if __name__ == "__main__":
    sys.exit(main())
