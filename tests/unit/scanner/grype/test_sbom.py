"""The SBOM of stored facts: a real Grype finds by it what it finds by Syft's own."""

import json
from typing import Any

import pytest

from services.scanner.matching.grype_sbom import write_sbom
from services.scanner.records import Package
from tests.fakes.grype import DATA, answer, facts_of, fingerprint, images
from tests.unit.scanner.grype.samples import changed


def sbom(image: str) -> dict[str, Any]:
    written: dict[str, Any] = json.loads(write_sbom(facts_of(image)))
    return written


def found(said: dict[str, Any]) -> list[tuple[Any, ...]]:
    """All that Grype says of an image, but for how it was called by whom."""
    return sorted(
        (
            json.dumps(one["vulnerability"], sort_keys=True),
            json.dumps(one["relatedVulnerabilities"], sort_keys=True),
            json.dumps(one["matchDetails"], sort_keys=True),
            one["artifact"]["name"],
            one["artifact"]["version"],
            one["artifact"]["type"],
        )
        for one in (*said["matches"], *said.get("ignoredMatches", ()))
    )


@pytest.mark.parametrize("image", images())
def test_a_real_grype_found_the_same_by_it_as_by_syfts_own(image: str) -> None:
    ours, syfts = answer(image), answer(image, to="syft")
    assert found(ours) == found(syfts)
    assert ours["distro"] == syfts["distro"]


def test_something_was_found_for_each_kind_of_package() -> None:
    said = {one["artifact"]["type"] for image in images() for one in answer(image)["matches"]}
    assert said == {"deb", "apk", "rpm", "python", "npm"}


@pytest.mark.parametrize("image", images())
def test_it_says_what_it_said_when_it_was_recorded(image: str) -> None:
    recorded = json.loads((DATA / "images" / image / "ours.json").read_bytes())
    assert fingerprint(sbom(image)) == fingerprint(recorded), "record it again (make record-grype)"


def test_what_a_distributions_package_brought_is_judged_by_that_package() -> None:
    written = sbom("owned")
    (owned,) = [one for one in written["artifacts"] if one["type"] == "python"]
    (relationship,) = written["artifactRelationships"]
    owner = written["artifacts"][int(relationship["parent"])]
    assert relationship["child"] == owned["id"]
    assert (owner["name"], owner["type"]) == ("python3-jinja2", "deb")
    assert not [one for one in answer("owned")["matches"] if one["artifact"]["type"] == "python"]


def test_an_image_without_a_distribution_has_none_in_it() -> None:
    assert sbom("no-distro")["distro"] == {}


def test_a_version_that_is_not_known_is_left_out() -> None:
    written = json.loads(write_sbom(changed("debian-12", distro_version="0")))
    assert written["distro"]["versionID"] == ""


def test_an_rpms_epoch_and_module_are_kept() -> None:
    (node,) = [one for one in sbom("rhel-9")["artifacts"] if one["name"] == "nodejs"]
    assert node["metadata"]["epoch"] == 1
    assert node["metadata"]["version"] == "18.14.2"
    assert node["metadata"]["modularityLabel"].startswith("nodejs:18:")


def test_text_of_an_image_cannot_make_another_document_of_it() -> None:
    hostile = Package('x","schema":{"url":"', '1"}],"distro":{"id":"', "deb", "x", '"\n\\')
    facts = changed("debian-12", packages=(hostile,))
    written = json.loads(write_sbom(facts))
    assert [one["name"] for one in written["artifacts"]] == [hostile.name]
    assert written["distro"]["id"] == "debian"
    assert list(written)[-1] == "schema"


def test_what_an_rpm_of_another_vendor_brought_is_judged_by_itself() -> None:
    epels = Package("epels", "1-1", "rpm", "epels", "1-1", origin="Fedora Project")
    own = Package("ours", "1-1", "rpm", "ours", "1-1", origin="Red Hat, Inc.")
    brought = (
        Package("jinja2", "3.0", "python", "jinja2", "3.0", owner="epels"),
        Package("requests", "2.0", "python", "requests", "2.0", owner="ours"),
    )
    written = json.loads(write_sbom(changed("rhel-9", packages=(epels, own, *brought))))
    assert [(one["parent"], one["child"]) for one in written["artifactRelationships"]] == [
        ("1", "3")
    ]
