"""The report as SARIF 2.1.0, with what GitHub's code scanning wants of it (docs/reports.md).

A rule for each vulnerability and each of the policy's triggers; a result for each vulnerable
package and each finding that stops or warns. Fingerprints name no digest and no version: the same
trouble in the next build of an image is the same alert.
"""

import hashlib
from collections import Counter
from collections.abc import Iterator, Mapping
from importlib.metadata import version as installed_version
from typing import Any
from urllib.parse import quote

import msgspec

from services.cli.reports.report import ImageReport, ScanReport
from shared.domain.image_report import Severity, Vulnerability
from shared.domain.reference import parse_reference
from shared.domain.verdict import Action, Finding, Outcome
from shared.runtime.logging import one_line

SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"
MAX_RESULTS = 5_000
"""What code scanning keeps of one run; the worst come first."""
MAX_TEXT = 1_000
"""Code scanning cuts descriptions at 1 024 characters."""

LEVELS: Mapping[Severity, str] = {
    Severity.CRITICAL: "error",
    Severity.HIGH: "error",
    Severity.MEDIUM: "warning",
    Severity.LOW: "note",
    Severity.NEGLIGIBLE: "note",
    Severity.UNKNOWN: "warning",
}
SCORES: Mapping[Severity, tuple[float, float, float]] = {
    Severity.CRITICAL: (9.1, 10.0, 9.5),
    Severity.HIGH: (7.0, 9.0, 8.0),
    Severity.MEDIUM: (4.0, 6.9, 5.5),
    Severity.LOW: (0.1, 3.9, 2.0),
    Severity.NEGLIGIBLE: (0.1, 0.1, 0.1),
}
"""Between which scores code scanning says the severity's own word, and one for those without."""

_ACTIONS = {Action.STOP: "error", Action.WARN: "warning"}
_VULNERABLE = ("vulnerabilities", "package")
_START = {"startLine": 1, "startColumn": 1, "endLine": 1, "endColumn": 1}

Json = dict[str, Any]


def sarif_document(report: ScanReport) -> bytes:
    """Indented, with a line end."""
    log = {"$schema": SCHEMA, "version": "2.1.0", "runs": [_run(report)]}
    return msgspec.json.format(msgspec.json.encode(log), indent=2) + b"\n"


def _run(report: ScanReport) -> Json:
    rules: dict[str, Json] = {}
    results = [one for image in report.images for one in _results(report, image, rules)]
    kept = results[:MAX_RESULTS]
    named = {one["ruleId"] for one in kept}
    position = {name: number for number, name in enumerate(rule for rule in rules if rule in named)}
    seen: Counter[str] = Counter()
    for one in kept:
        one["ruleIndex"] = position[one["ruleId"]]
        own = one["partialFingerprints"]["primaryLocationLineHash"]
        seen[own] += 1
        # The way code scanning itself tells several of one kind at one place apart.
        one["partialFingerprints"] = {"primaryLocationLineHash": f"{own}:{seen[own]}"}
    version = installed_version("imagegate")
    driver = {
        "name": "imagegate",
        "version": version,
        "semanticVersion": version,
        "rules": [rules[name] for name in position],
    }
    return {
        "tool": {"driver": driver},
        "automationDetails": {"id": f"imagegate/{_repository(report)}/"},
        "columnKind": "unicodeCodePoints",
        "invocations": [_invocation(report, dropped=len(results) - len(kept))],
        "results": kept,
        "properties": {
            "image": report.image,
            "digests": [image.digest for image in report.images],
            "verdict": report.outcome,
            "policies": list(report.policies),
        },
    }


def _invocation(report: ScanReport, *, dropped: int) -> Json:
    """That it ran, and what it could not see."""
    said = [gap for image in report.images for gap in image.gaps]
    said += [report.message] if report.message else []
    said += [f"{dropped} more results are left out"] if dropped else []
    notes = [{"level": "warning", "message": {"text": _text(each)}} for each in said]
    return {
        "executionSuccessful": report.outcome is not Outcome.ERROR,
        "toolExecutionNotifications": notes,
    }


def _results(report: ScanReport, image: ImageReport, rules: dict[str, Json]) -> Iterator[Json]:
    decided = {
        finding.trigger_id: finding.action
        for finding in reversed(image.findings)
        if (finding.gate, finding.trigger) == _VULNERABLE
    }
    told = set[str]()
    for finding in image.findings:
        if (finding.gate, finding.trigger) != _VULNERABLE:
            yield from _of_finding(report, image, finding, rules)
    for found in image.vulnerabilities or ():
        told.add(trigger_id := f"{found.id}+{found.package}")
        yield _of_vulnerability(report, image, found, decided.get(trigger_id), rules)
    for finding in image.findings:
        # What cannot be read beside the verdict still stands in it.
        if (finding.gate, finding.trigger) == _VULNERABLE and finding.trigger_id not in told:
            yield from _of_finding(report, image, finding, rules)


def _of_vulnerability(
    report: ScanReport,
    image: ImageReport,
    found: Vulnerability,
    action: Action | None,
    rules: dict[str, Json],
) -> Json:
    rule_id = one_line(found.id, limit=200)
    _keep_worse(rules, _rule_of(rule_id, found))
    fixed = f"fixed in {found.fixed}" if found.fixed else "no fixed version is known"
    package = f"{found.package} {found.version}"
    result = {
        "ruleId": rule_id,
        "level": "error" if action is Action.STOP else LEVELS[found.severity],
        "message": {
            "text": _text(f"{found.id} ({found.severity}) in {package}, {fixed}: {report.image}")
        },
        "locations": [_location(report, image, package)],
        "partialFingerprints": _fingerprint(report, rule_id, found.type, found.package),
        "properties": {
            "severity": found.severity,
            "package": one_line(found.package),
            "installedVersion": one_line(found.version),
            "fixedVersion": one_line(found.fixed) if found.fixed else None,
        },
    }
    if action is Action.GO:
        result["suppressions"] = [_suppression()]
    return result


def _of_finding(
    report: ScanReport, image: ImageReport, finding: Finding, rules: dict[str, Json]
) -> Iterator[Json]:
    rule_id = one_line(f"{finding.gate}/{finding.trigger}", limit=200)
    rules.setdefault(rule_id, _rule_of_gate(rule_id))
    result = {
        "ruleId": rule_id,
        "level": _ACTIONS.get(finding.action, "note"),
        "message": {"text": _text(f"{finding.message}: {report.image}")},
        "locations": [_location(report, image, rule_id, gate=finding.gate)],
        "partialFingerprints": _fingerprint(report, rule_id, finding.trigger_id),
        "properties": {
            "action": finding.action,
            "triggerId": one_line(finding.trigger_id),
        },
    }
    if finding.action is Action.GO:
        result["suppressions"] = [_suppression()]
    yield result


def _suppression() -> Json:
    return {"kind": "external", "justification": "the policy lets it through"}


def _rule_of(rule_id: str, found: Vulnerability) -> Json:
    text = f"{found.severity} vulnerability {found.id}"
    more = f"{text}; see {found.url}" if found.url else text
    rule: Json = {
        "id": rule_id,
        "name": "VulnerablePackage",
        "shortDescription": {"text": _text(text)},
        "fullDescription": {"text": _text(text)},
        "help": {"text": _text(more)},
        "defaultConfiguration": {"level": LEVELS[found.severity]},
        "properties": {"tags": ["security", "vulnerability", str(found.severity)]},
    }
    if is_link(found.url):
        rule["helpUri"] = found.url
    score = _score(found)
    if score:
        rule["properties"]["security-severity"] = f"{score:.1f}"
    return rule


def _rule_of_gate(rule_id: str) -> Json:
    text = f"The policy's gate and trigger {rule_id}"
    return {
        "id": rule_id,
        "name": "Policy",
        "shortDescription": {"text": _text(text)},
        "fullDescription": {"text": _text(text)},
        "help": {"text": _text(f"{text}: what it wants stands in the policy that judged")},
        "defaultConfiguration": {"level": "warning"},
        "properties": {"tags": ["security", "policy"]},
    }


def _keep_worse(rules: dict[str, Json], rule: Json) -> None:
    """One CVE may be worse in one package than in another; its rule tells the worst."""
    known = rules.get(rule["id"])
    if known is None or _weight(rule) > _weight(known):
        rules[rule["id"]] = rule


def _weight(rule: Json) -> float:
    return float(rule["properties"].get("security-severity", 0.0))


def _score(found: Vulnerability) -> float:
    """Its own where code scanning would then say the same severity as we; 0.0 of an unknown."""
    if found.severity is Severity.UNKNOWN:
        return 0.0
    least, most, usual = SCORES[found.severity]
    return found.score if found.score is not None and least <= found.score <= most else usual


def _location(report: ScanReport, image: ImageReport, what: str, *, gate: str = "") -> Json:
    """The image's repository stands for a file; what is about the Dockerfile is in that."""
    repository = _repository(report)
    path = report.dockerfile if gate == "dockerfile" and report.dockerfile else repository
    return {
        "physicalLocation": {
            "artifactLocation": {"uri": quote(path, safe="/-._~")},
            "region": _START,
        },
        "logicalLocations": [
            {
                "name": one_line(what),
                "fullyQualifiedName": one_line(f"{repository}@{image.digest}: {what}"),
                "kind": "package" if not gate else "gate",
            }
        ],
    }


def _fingerprint(report: ScanReport, *parts: str) -> dict[str, str]:
    whole = "\0".join((_repository(report), *parts))
    return {
        "primaryLocationLineHash": hashlib.sha256(whole.encode(errors="surrogatepass")).hexdigest()[
            :32
        ]
    }


def _repository(report: ScanReport) -> str:
    return parse_reference(report.image).path


def is_link(url: str) -> bool:
    """Whether a text from outside is a plain web address, and nothing besides."""
    plain = url.isascii() and url.isprintable() and not any(char in url for char in " <>\"'\\`[]")
    return plain and url.startswith(("https://", "http://")) and len(url) < 2_000


def _text(text: str) -> str:
    """One bounded line in which nothing is a link or a placeholder of SARIF's."""
    line = one_line(text, limit=MAX_TEXT)
    for char in "\\[]":
        line = line.replace(char, f"\\{char}")
    return line.replace("{", "{{").replace("}", "}}")
