"""The part of Grype's JSON that is read: `grype SBOM -o json` (docs/design/scanner-facts.md).

What is not there counts as empty; Go writes `null` for a list that was never made.
"""

from datetime import datetime

import msgspec


class Metrics(msgspec.Struct, frozen=True, rename="camel"):
    """Of one CVSS vector, 0.0 to 10.0 each."""

    base_score: float = 0.0
    exploitability_score: float | None = None
    impact_score: float | None = None


class Cvss(msgspec.Struct, frozen=True):
    """A score, and who gave it."""

    source: str = ""
    version: str = ""
    vector: str = ""
    metrics: Metrics = Metrics()


class Available(msgspec.Struct, frozen=True):
    """The day on which a version with the fix was there."""

    version: str = ""
    date: str = ""


class Fix(msgspec.Struct, frozen=True):
    """`state`: fixed, not-fixed, wont-fix, or empty where it is not known."""

    state: str = ""
    versions: tuple[str, ...] | None = ()
    available: tuple[Available, ...] | None = ()


class Advisory(msgspec.Struct, frozen=True):
    """Another name, of the distributor's."""

    id: str = ""


class Vulnerability(msgspec.Struct, frozen=True):
    """A record of one provider."""

    id: str
    namespace: str = ""
    severity: str = ""
    url: str = msgspec.field(default="", name="dataSource")
    cvss: tuple[Cvss, ...] | None = ()
    fix: Fix = Fix()
    advisories: tuple[Advisory, ...] | None = ()


class Suggested(msgspec.Struct, frozen=True):
    """Of several versions the one for this package."""

    version: str = msgspec.field(default="", name="suggestedVersion")


class Detail(msgspec.Struct, frozen=True):
    """How a match was found."""

    fix: Suggested | None = None


class Artifact(msgspec.Struct, frozen=True):
    """The package, by the id that its SBOM gave it."""

    id: str


class Match(msgspec.Struct, frozen=True):
    """A package and a record that speaks about it."""

    vulnerability: Vulnerability
    artifact: Artifact
    related: tuple[Vulnerability, ...] = msgspec.field(default=(), name="relatedVulnerabilities")
    details: tuple[Detail, ...] = msgspec.field(default=(), name="matchDetails")

    @property
    def fixed(self) -> str | None:
        """Of several versions that fix it the one that Grype suggests for this package."""
        fix = self.vulnerability.fix
        if fix.state != "fixed" or not fix.versions:
            return None
        suggested = (one.fix.version for one in self.details if one.fix is not None)
        return next(filter(None, suggested), fix.versions[0])


class Distro(msgspec.Struct, frozen=True):
    """What Grype made of os-release; empty: nothing."""

    name: str = ""


class Status(msgspec.Struct, frozen=True):
    """The database that it used."""

    built: datetime | None = None


class UsedDatabase(msgspec.Struct, frozen=True):
    """`descriptor.db`."""

    status: Status = Status()


class Descriptor(msgspec.Struct, frozen=True):
    """What the answer was made with."""

    db: UsedDatabase = UsedDatabase()


class Answer(msgspec.Struct, frozen=True):
    """`ignoredMatches` is left out: Grype was told, or knows, that they are none."""

    matches: tuple[Match, ...]
    distro: Distro = Distro()
    descriptor: Descriptor = Descriptor()
