"""Reports to be written in each form."""

from typing import Any

import msgspec

from services.cli.reports.report import ImageReport, ScanReport, worst_first
from shared.domain.image_report import (
    Coverage,
    DataGroup,
    ImageAbout,
    ImagePackage,
    Severity,
    Vulnerability,
)
from shared.domain.verdict import Action, Finding, Outcome

DIGEST = "sha256:" + "5e" * 32
NOW = 1_795_600_000_000
"""2026-11-25."""

EXPAT = Vulnerability(
    id="CVE-2024-45491",
    package="libexpat1",
    version="2.5.0-1",
    type="dpkg",
    severity=Severity.CRITICAL,
    fixed="2.5.0-1+deb12u1",
    url="https://security-tracker.debian.org/tracker/CVE-2024-45491",
    score=9.8,
    group="debian:12",
)
STOP = Finding(
    gate="vulnerabilities",
    trigger="package",
    trigger_id="CVE-2024-45491+libexpat1",
    action=Action.STOP,
    message="CRITICAL Vulnerability found in os package type (dpkg) - libexpat1",
)
ROOT = Finding(
    gate="dockerfile",
    trigger="effective_user",
    trigger_id="0cb7e34a",
    action=Action.STOP,
    message="User root found as effective user",
)
WARN = Finding("packages", "blacklist", "77aa", Action.WARN, "Package is blacklisted: telnet")
LET = Finding(
    "vulnerabilities", "package", "CVE-2023-0001+zlib1g", Action.GO, "HIGH Vulnerability in zlib1g"
)


def vulnerability(**changes: Any) -> Vulnerability:
    return msgspec.structs.replace(EXPAT, **changes)


ZLIB = vulnerability(
    id="CVE-2023-0001",
    package="zlib1g",
    version="1:1.2.13",
    severity=Severity.HIGH,
    fixed=None,
    url="",
    score=None,
)
UNSCORED = vulnerability(id="CVE-2026-1", package="bash", severity=Severity.UNKNOWN, score=None)

IMAGE = ImageReport(
    digest=DIGEST,
    about=ImageAbout("amd64", "debian", "12", 1_386_291, 2, "Guessed"),
    packages=(
        ImagePackage("libexpat1", "2.5.0-1", "dpkg"),
        ImagePackage("zlib1g", "1:1.2.13", "dpkg"),
        ImagePackage("requests", "2.31", "python", "/app/requests"),
    ),
    vulnerabilities=worst_first((UNSCORED, ZLIB, EXPAT)),
    coverage=Coverage(release="debian:12", as_of=NOW - 86_400_000),
    data=DataGroup("debian:12", 81, NOW - 86_400_000),
    findings=(STOP, ROOT, WARN, LET),
    gaps=("the vulnerability data says nothing about 1 of 3 packages: requests (python)",),
)
FAILED = ScanReport(
    image="registry.corp:5000/team/app:1.0",
    outcome=Outcome.FAIL,
    message="",
    policies=("imagegate-default",),
    images=(IMAGE,),
    at=NOW,
)
CLEAN = msgspec.structs.replace(
    FAILED,
    outcome=Outcome.PASS,
    images=(
        msgspec.structs.replace(
            IMAGE, vulnerabilities=(), findings=(), gaps=(), packages=IMAGE.packages
        ),
    ),
)
UNREAD = msgspec.structs.replace(
    FAILED,
    images=(
        ImageReport(
            DIGEST,
            findings=(STOP, ROOT),
            gaps=("its vulnerabilities could not be read: no answer",),
        ),
    ),
)

NASTY = "\x1b[31m[red]x[/red]\n\u202e{0}[a](http://evil)"
"""A control sequence, Rich's markup, a line end, text turned around, SARIF's placeholder and
link."""


def hostile() -> ScanReport:
    """Every text that an image, an advisory or a policy may choose is nasty."""
    found = vulnerability(
        id=NASTY, package=NASTY, version=NASTY, type=NASTY, fixed=NASTY, url=f"https://a/{NASTY}"
    )
    finding = Finding(NASTY, NASTY, NASTY, Action.STOP, NASTY)
    image = ImageReport(
        digest=DIGEST,
        about=ImageAbout(NASTY, NASTY, NASTY, 1, 1, NASTY),
        packages=(ImagePackage(NASTY, NASTY, NASTY, NASTY),),
        vulnerabilities=(found,),
        coverage=Coverage(release=NASTY, as_of=NOW),
        data=DataGroup(NASTY, 1, NOW),
        findings=(finding,),
        gaps=(NASTY,),
    )
    return msgspec.structs.replace(FAILED, message=NASTY, policies=(NASTY,), images=(image,))
