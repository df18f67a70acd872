"""Reports as SARIF: valid by the standard's own schema, and what code scanning makes of them."""

import json
from pathlib import Path
from typing import Any

import jsonschema
import msgspec
import pytest

from services.cli.reports.report import ScanReport
from services.cli.reports.sarif import MAX_RESULTS, sarif_document
from shared.domain.image_report import Severity
from shared.domain.verdict import Outcome
from tests.unit.cli.report_samples import (
    CLEAN,
    DIGEST,
    EXPAT,
    FAILED,
    IMAGE,
    ROOT,
    UNREAD,
    hostile,
    vulnerability,
)

SCHEMA = json.loads(
    (Path(__file__).parents[2] / "data" / "sarif" / "sarif-schema-2.1.0.json").read_text()
)
VALIDATOR = jsonschema.Draft4Validator(SCHEMA)
UNDECIDED = msgspec.structs.replace(
    FAILED, outcome=Outcome.ERROR, message="no mapping matched", images=()
)


def run_of(report: ScanReport, *, checked: bool = True) -> dict[str, Any]:
    """The one run of the report's document, which is valid."""
    document = json.loads(sarif_document(report))
    if checked:
        VALIDATOR.validate(document)
    (run,) = document["runs"]
    return dict(run)


def with_found(*found: Any) -> ScanReport:
    image = msgspec.structs.replace(IMAGE, vulnerabilities=found, findings=())
    return msgspec.structs.replace(FAILED, images=(image,))


@pytest.mark.parametrize("report", [FAILED, CLEAN, UNREAD, UNDECIDED, hostile()])
def test_every_report_is_valid_by_the_schema(report: ScanReport) -> None:
    run_of(report)


def test_the_schema_refuses_what_is_none() -> None:
    document = json.loads(sarif_document(FAILED))
    document["runs"][0]["results"][0]["level"] = "terrible"
    with pytest.raises(jsonschema.ValidationError):
        VALIDATOR.validate(document)


@pytest.mark.parametrize("report", [FAILED, UNREAD, hostile()])
def test_each_result_has_what_code_scanning_requires(report: ScanReport) -> None:
    run = run_of(report)
    rules = run["tool"]["driver"]["rules"]
    assert run["results"]
    for result in run["results"]:
        assert rules[result["ruleIndex"]]["id"] == result["ruleId"]
        assert result["message"]["text"]
        (location,) = result["locations"]
        assert location["physicalLocation"]["artifactLocation"]["uri"]
        region = location["physicalLocation"]["region"]
        assert set(region) == {"startLine", "startColumn", "endLine", "endColumn"}
        assert result["partialFingerprints"]["primaryLocationLineHash"]
    for rule in rules:
        for part in ("shortDescription", "fullDescription", "help"):
            assert 0 < len(rule[part]["text"]) <= 1024
        score = rule["properties"].get("security-severity")
        assert score is None or 0 < float(score) <= 10


def test_a_result_is_about_the_repository_whatever_its_tag_and_host_are() -> None:
    run = run_of(FAILED)
    where = {
        result["locations"][0]["physicalLocation"]["artifactLocation"]["uri"]
        for result in run["results"]
    }
    assert where == {"team/app"}
    assert run["automationDetails"]["id"] == "imagegate/team/app/"


def test_what_is_about_the_dockerfile_stands_in_it() -> None:
    run = run_of(msgspec.structs.replace(FAILED, dockerfile="build/Docker file"))
    where = {
        result["ruleId"]: result["locations"][0]["physicalLocation"]["artifactLocation"]["uri"]
        for result in run["results"]
    }
    assert where["dockerfile/effective_user"] == "build/Docker%20file"
    assert where["CVE-2024-45491"] == "team/app"


def fingerprints(report: ScanReport) -> set[str]:
    return {
        one["partialFingerprints"]["primaryLocationLineHash"] for one in run_of(report)["results"]
    }


def test_the_next_build_of_an_image_has_the_same_fingerprints() -> None:
    again = msgspec.structs.replace(EXPAT, version="2.5.0-1.1", severity=Severity.HIGH)
    image = msgspec.structs.replace(
        IMAGE,
        digest="sha256:" + "77" * 32,
        vulnerabilities=tuple(
            again if one is EXPAT else one for one in IMAGE.vulnerabilities or ()
        ),
    )
    later = msgspec.structs.replace(FAILED, image="other.corp/team/app:1.1", images=(image,))
    assert fingerprints(later) == fingerprints(FAILED)


def test_two_packages_and_two_places_have_fingerprints_of_their_own() -> None:
    other = vulnerability(package="libexpat1-dev")
    twice = vulnerability(version="2.6.0-1")
    assert len(fingerprints(with_found(EXPAT, other, twice))) == 3


@pytest.mark.parametrize(
    ("severity", "score", "told"),
    [
        (Severity.CRITICAL, 9.8, "9.8"),
        (Severity.CRITICAL, None, "9.5"),
        (Severity.HIGH, 7.5, "7.5"),
        (Severity.NEGLIGIBLE, 9.8, "0.1"),
        (Severity.MEDIUM, 0.0, "5.5"),
        (Severity.UNKNOWN, 9.8, None),
    ],
)
def test_code_scanning_says_the_same_severity_as_we(
    severity: Severity, score: float | None, told: str | None
) -> None:
    run = run_of(with_found(vulnerability(severity=severity, score=score)))
    (rule,) = run["tool"]["driver"]["rules"]
    assert rule["properties"].get("security-severity") == told


def test_a_rule_tells_the_worst_that_its_cve_is() -> None:
    lesser = vulnerability(package="expat", severity=Severity.LOW, score=2.0)
    for order in ((EXPAT, lesser), (lesser, EXPAT)):
        (rule,) = run_of(with_found(*order))["tool"]["driver"]["rules"]
        assert rule["properties"]["security-severity"] == "9.8"


def levels(report: ScanReport) -> dict[str, str]:
    return {one["ruleId"]: one["level"] for one in run_of(report)["results"]}


def test_what_stops_an_image_is_an_error_and_what_warns_a_warning() -> None:
    assert levels(FAILED) == {
        "CVE-2024-45491": "error",
        "CVE-2023-0001": "error",
        "CVE-2026-1": "warning",
        "dockerfile/effective_user": "error",
        "packages/blacklist": "warning",
    }


def test_a_finding_about_a_vulnerability_is_no_second_result() -> None:
    named = [one["ruleId"] for one in run_of(FAILED)["results"]]
    assert named.count("CVE-2024-45491") == 1
    assert "vulnerabilities/package" not in named


def test_findings_stand_alone_where_vulnerabilities_could_not_be_read() -> None:
    assert levels(UNREAD) == {
        "dockerfile/effective_user": "error",
        "vulnerabilities/package": "error",
    }


def test_what_the_policy_lets_through_is_suppressed() -> None:
    suppressed = [one["ruleId"] for one in run_of(FAILED)["results"] if "suppressions" in one]
    assert suppressed == ["CVE-2023-0001"]


def test_what_is_not_known_is_a_notification() -> None:
    (invocation,) = run_of(FAILED)["invocations"]
    (note,) = invocation["toolExecutionNotifications"]
    assert note["message"]["text"].startswith("the vulnerability data says nothing about 1 of 3")
    assert invocation["executionSuccessful"] is True


def test_an_image_that_could_not_be_judged_is_no_success() -> None:
    (invocation,) = run_of(UNDECIDED)["invocations"]
    assert invocation["executionSuccessful"] is False
    assert invocation["toolExecutionNotifications"][0]["message"]["text"] == "no mapping matched"


def test_of_too_many_results_the_worst_are_kept_and_the_rest_is_said() -> None:
    low = [
        vulnerability(id=f"CVE-2020-{number}", severity=Severity.LOW, score=None)
        for number in range(MAX_RESULTS + 7)
    ]
    run = run_of(with_found(EXPAT, *low), checked=False)
    assert len(run["results"]) == MAX_RESULTS
    assert run["results"][0]["ruleId"] == EXPAT.id
    assert len(run["tool"]["driver"]["rules"]) == MAX_RESULTS
    said = run["invocations"][0]["toolExecutionNotifications"][-1]["message"]["text"]
    assert said == "8 more results are left out"


def test_nothing_from_outside_is_a_link_a_placeholder_or_a_line() -> None:
    run = run_of(hostile())
    for result in run["results"]:
        text = result["message"]["text"]
        assert "\\[a\\](http://evil)" in text
        assert "{{0}}" in text
        assert text.isprintable()
    assert not [rule for rule in run["tool"]["driver"]["rules"] if "helpUri" in rule]


def test_the_image_and_its_verdict_stand_beside_the_results() -> None:
    properties = run_of(FAILED)["properties"]
    assert properties["image"] == FAILED.image
    assert properties["digests"] == [DIGEST]
    assert properties["verdict"] == "fail"
    assert ROOT.action == "stop"
