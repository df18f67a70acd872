"""What a scanner found in an image, for people to look at: no verdict stands on it.

Every text is the scanner's, who has it from the image and from advisories: whoever shows it makes
it fit for that.
"""

from enum import StrEnum

import msgspec


class Severity(StrEnum):
    """How bad a vulnerability is, the worst first."""

    CRITICAL = "critical"
    HIGH = "high"
    MEDIUM = "medium"
    LOW = "low"
    NEGLIGIBLE = "negligible"
    UNKNOWN = "unknown"
    """The data does not say it: it may be anything."""

    @property
    def rank(self) -> int:
        """0 for the worst; unknown comes last."""
        return tuple(Severity).index(self)

    @classmethod
    def named(cls, text: str) -> "Severity":
        """By its name in any spelling; UNKNOWN for every other word."""
        try:
            return cls(text.lower())
        except ValueError:
            return cls.UNKNOWN


class ImageAbout(msgspec.Struct, frozen=True):
    """What the image is; empty or 0 where the scanner does not say it."""

    architecture: str = ""
    distro: str = ""
    distro_version: str = ""
    size: int = 0
    """Bytes, unpacked."""
    layers: int = 0
    dockerfile: str = ""
    """`Actual`: its own was given to the scanner; `Guessed`: from the image's history."""

    @property
    def release(self) -> str:
        """`debian:12`, as groups of vulnerability data are named; empty where it is not known."""
        known = self.distro and self.distro.lower() != "unknown"
        return f"{self.distro}:{self.distro_version}" if known else ""


class ImagePackage(msgspec.Struct, frozen=True):
    """A package that is installed in it."""

    name: str
    version: str
    type: str
    """In the scanner's words: `dpkg`, `python`, `npm`."""
    path: str = ""


class Vulnerability(msgspec.Struct, frozen=True):
    """One that an installed package is subject to."""

    id: str
    package: str
    version: str
    type: str
    severity: Severity
    fixed: str | None = None
    """The first version without it; None: the data names none."""
    will_not_fix: bool = False
    url: str = ""
    score: float | None = None
    """CVSS base score, of the newest version of CVSS that there is one of."""
    group: str = ""
    """The part of the data that it is from: `debian:12`."""


class Coverage(msgspec.Struct, frozen=True):
    """What the silence of the data is worth for one image; the built-in scanner alone tells it."""

    release: str = ""
    """Which data was asked: `debian:12`."""
    unavailable: str = ""
    """Why nothing can be said of the distribution's packages; empty: something can."""
    problem: str = ""
    """Why the data should not be trusted at this moment; empty: all is well."""
    contradictions: tuple[str, ...] = ()
    """Where the image tells two things of itself."""
    as_of: int | None = None
    """Up to when the release's data is (ms since the epoch); None: there is none."""
    uncovered: tuple[ImagePackage, ...] = ()
    """Packages that the data says nothing about."""


class Vulnerabilities(msgspec.Struct, frozen=True):
    """All that the data says of an image."""

    found: tuple[Vulnerability, ...] = ()
    coverage: Coverage | None = None
    """None: the scanner does not tell, so that silence about a package may mean nothing."""


class DataGroup(msgspec.Struct, frozen=True):
    """Vulnerability data about a release or an ecosystem."""

    name: str
    records: int = 0
    as_of: int | None = None
    """When it was last brought up to date (ms since the epoch); None: never, or nobody says."""
    problem: str = ""
    """What the server says is wrong with all of its data. No Anchore says that."""
