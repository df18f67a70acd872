"""A `grype` on PATH that says what the real one said: see tests/data/grype/README.md.

What it is asked about must be what was recorded, package by package: an SBOM that says something
else than when it was recorded is no known one, and the fake fails as loudly as it can.
"""

import hashlib
import json
import sqlite3
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from services.scanner.analysis.packages import Artifact, Relationship, read_packages
from services.scanner.records import UNKNOWN_DISTRO, ImageFacts

DATA = Path(__file__).parents[1] / "data" / "grype"
SAID = DATA / "said.json"
CACHE = "/var/cache/grype"
"""Where recorded texts say that the database is."""


class Said(msgspec.Struct, frozen=True):
    """One run of the real one."""

    exit: int
    stdout: str
    stderr: str


def said() -> dict[str, Said]:
    """What it said but about images, by what it was asked and how things stood."""
    return msgspec.json.decode(SAID.read_bytes(), type=dict[str, Said])


def images() -> list[str]:
    """Names of the images that it was asked about."""
    return sorted(path.parent.name for path in DATA.glob("images/*/syft.json"))


def listing(image: str) -> bytes:
    """Syft's own JSON about an image."""
    return (DATA / "images" / image / "syft.json").read_bytes()


def facts_of(image: str) -> ImageFacts:
    """What an analysis keeps of it, as far as vulnerability data is asked about it."""
    listed = json.loads(listing(image))
    distro = listed.get("distro", {})
    return ImageFacts(
        distro=distro.get("id", UNKNOWN_DISTRO[0]),
        distro_version=distro.get("versionID", UNKNOWN_DISTRO[1]),
        distro_like=tuple(distro.get("idLike", ())),
        distro_codename=distro.get("versionCodename", ""),
        distro_name=distro.get("prettyName", ""),
        packages=read_packages(
            msgspec.convert(listed["artifacts"], list[Artifact]),
            msgspec.convert(listed["artifactRelationships"], list[Relationship]),
        ),
        user="65532",
        history=(),
        exposed_ports=(),
        dockerfile="FROM scratch\n",
        dockerfile_mode="Guessed",
        architecture="amd64",
        layers=1,
        size=1024,
    )


def answer(image: str, *, to: str = "ours") -> dict[str, Any]:
    """Grype's JSON about an image, by our SBOM (`ours`) or by Syft's own JSON (`syft`)."""
    path = DATA / "images" / image / f"answer-to-{to}.json"
    read: dict[str, Any] = json.loads(path.read_bytes())
    return read


def fingerprint(sbom: Mapping[str, Any]) -> str:
    """Of all in an SBOM that Grype's matchers look at."""
    names = ("id", "name", "version", "type", "purl", "cpes", "metadataType", "metadata")
    distro = {k: v for k, v in sbom["distro"].items() if v and k not in ("prettyName", "name")}
    seen = (
        distro,
        [[one.get(name) for name in names] for one in sbom["artifacts"]],
        sorted((one["parent"], one["child"]) for one in sbom["artifactRelationships"]),
    )
    return hashlib.sha256(json.dumps(seen, sort_keys=True).encode()).hexdigest()


def make_database(cache: Path, script: str = "") -> Path:
    """The tables of the database that was recorded with, where Grype keeps them."""
    file = cache / "6" / "vulnerability.db"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.unlink(missing_ok=True)
    connection = sqlite3.connect(file)
    connection.executescript((DATA / "database.sql").read_text() + script)
    connection.close()
    return file


class FakeGrype:
    """A program in a folder of its own, which PATH has to name."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        recorded = {
            fingerprint(json.loads((DATA / "images" / one / "ours.json").read_bytes())): str(
                DATA / "images" / one / "answer-to-ours.json"
            )
            for one in images()
        }
        self._script = folder / "grype"
        self._world = {
            "cache": CACHE,
            "said": str(SAID),
            "images": recorded,
            "seen": str(folder / "seen.jsonl"),
        }
        self.does()

    def does(self, mode: str = "", *, built: str = "", status: str = "") -> None:
        """From now on: what `_PROGRAM` calls a mode; another age; a status that was recorded."""
        world = self._world | {"mode": mode, "built": built, "status": status}
        (self.folder / "world.json").write_text(json.dumps(world))
        self._script.write_text(f"#!{sys.executable} -IS\n{_PROGRAM}")
        self._script.chmod(0o755)

    @property
    def runs(self) -> list[dict[str, Any]]:
        """Arguments and environment of each run."""
        seen = Path(str(self._world["seen"]))
        lines = seen.read_text().splitlines() if seen.exists() else []
        return [json.loads(line) for line in lines]

    def scans(self) -> int:
        """Runs about an image."""
        return sum(one["arguments"][0].startswith("sbom:") for one in self.runs)


_PROGRAM = """
import hashlib, json, os, signal, sys, time
from pathlib import Path

world = json.loads((Path(__file__).parent / "world.json").read_text())
arguments = sys.argv[1:]
with open(world["seen"], "a") as seen:
    seen.write(json.dumps({"arguments": arguments, "environ": dict(os.environ)}) + "\\n")
said = json.loads(Path(world["said"]).read_text())
cache = Path(os.environ["GRYPE_DB_CACHE_DIR"])
database = cache / "6" / "vulnerability.db"
mode = world["mode"]


def say(one):
    text = one["stdout"].replace(world["cache"], str(cache))
    if world["built"] and (mode != "behind" or arguments[0] == "db"):
        text = text.replace("2026-11-25T06:00:00Z", world["built"])
    sys.stdout.write(text)
    sys.stderr.write(one["stderr"].replace(world["cache"], str(cache)))
    sys.exit(one["exit"])


def fingerprint(sbom):
    names = ("id", "name", "version", "type", "purl", "cpes", "metadataType", "metadata")
    distro = {k: v for k, v in sbom["distro"].items() if v and k not in ("prettyName", "name")}
    seen = (
        distro,
        [[one.get(name) for name in names] for one in sbom["artifacts"]],
        sorted((one["parent"], one["child"]) for one in sbom["artifactRelationships"]),
    )
    return hashlib.sha256(json.dumps(seen, sort_keys=True).encode()).hexdigest()


if arguments[:2] == ["db", "status"]:
    if mode == "no status":
        say({"stdout": "v0.1\\n", "stderr": "", "exit": 0})
    if not database.exists():
        say(said["status none"])
    say(said[world["status"] or "status valid"])
if arguments[:2] == ["db", "providers"]:
    say(said["providers"])
if arguments[:2] == ["db", "update"]:
    if mode == "update":
        database.parent.mkdir(parents=True, exist_ok=True)
        database.write_bytes((Path(__file__).parent / "newer.db").read_bytes())
        sys.exit(0)
    say(said["update offline"])
if mode == "hang":
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    os.fork()
    time.sleep(600)
if mode == "die":
    os.kill(os.getpid(), signal.SIGKILL)
if mode == "flood":
    while True:
        sys.stdout.write("x" * 1024 * 1024)
if mode == "nonsense":
    say({"stdout": "{]", "stderr": "", "exit": 0})
if mode == "says no":
    say(said["scan broken"])
if not database.exists():
    say(said["scan none"])
text = Path(arguments[0].removeprefix("sbom:")).read_text()
answer = world["images"].get(fingerprint(json.loads(text)))
if answer is None:
    say({"stdout": "", "stderr": "ERROR nothing was recorded about this SBOM: " + text, "exit": 1})
say({"stdout": Path(answer).read_text(), "stderr": "", "exit": 0})
"""
