"""The report as JSON: the shape that programs rely on (docs/reports.md)."""

import json
from typing import Any

import pytest

from services.cli.reports.document import json_document
from services.cli.reports.report import ScanReport
from tests.unit.cli.report_samples import CLEAN, DIGEST, FAILED, UNREAD, hostile


def told(report: ScanReport) -> dict[str, Any]:
    return dict(json.loads(json_document(report)))


def test_the_document_has_its_version_and_the_verdict() -> None:
    document = told(FAILED)
    assert document["version"] == 1
    assert document["tool"]["name"] == "imagegate"
    assert document["at"] == "2026-11-25T09:46:40Z"
    assert (document["image"], document["verdict"]) == (FAILED.image, "fail")
    assert document["policies"] == ["imagegate-default"]
    assert told(CLEAN)["verdict"] == "pass"


def test_an_image_has_what_it_is_and_what_was_found() -> None:
    (image,) = told(FAILED)["images"]
    assert image["digest"] == DIGEST
    assert [image[key] for key in ("architecture", "distro", "distro_version")] == [
        "amd64",
        "debian",
        "12",
    ]
    assert image["packages_by_type"] == {"dpkg": 2, "python": 1}
    assert image["packages"][2] == {
        "name": "requests",
        "version": "2.31",
        "type": "python",
        "path": "/app/requests",
    }
    assert image["vulnerabilities_by_severity"] == {"critical": 1, "high": 1, "unknown": 1}
    assert image["vulnerabilities"][0] == {
        "id": "CVE-2024-45491",
        "package": "libexpat1",
        "version": "2.5.0-1",
        "type": "dpkg",
        "severity": "critical",
        "fixed": "2.5.0-1+deb12u1",
        "will_not_fix": False,
        "url": "https://security-tracker.debian.org/tracker/CVE-2024-45491",
        "score": 9.8,
        "group": "debian:12",
    }
    assert image["vulnerability_data"] == {
        "name": "debian:12",
        "as_of": "2026-11-24T09:46:40Z",
        "records": 81,
        "unavailable": "",
        "uncovered": [],
    }
    assert image["findings"][1] == {
        "gate": "dockerfile",
        "trigger": "effective_user",
        "trigger_id": "0cb7e34a",
        "action": "stop",
        "message": "User root found as effective user",
    }
    assert image["gaps"]


def test_what_could_not_be_read_is_null_and_none_is_empty() -> None:
    (unread,), (clean,) = told(UNREAD)["images"], told(CLEAN)["images"]
    assert (unread["vulnerabilities"], clean["vulnerabilities"]) == (None, [])
    assert (unread["vulnerabilities_by_severity"], unread["packages"]) == (None, None)
    assert unread["vulnerability_data"] is None


@pytest.mark.parametrize("report", [FAILED, hostile()])
def test_the_bytes_hold_no_control_character(report: ScanReport) -> None:
    assert all(char.isprintable() or char in "\n\u202e" for char in json_document(report).decode())
