"""Grype's answers as findings."""

from typing import Any

import msgspec
import pytest

from services.scanner.matching.finding import Score, Severity
from services.scanner.matching.grype_findings import OtherDatabase
from services.scanner.matching.grype_releases import Ecosystem, GrypeDatabase
from tests.fakes.grype import answer, facts_of
from tests.unit.scanner.grype.samples import by_id, changed, findings_of, package, read

CRITICAL = Score(
    base=9.8,
    vector="CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H",
    exploitability=3.9,
    impact=5.9,
)


def test_a_vulnerability_with_a_fix(database: GrypeDatabase) -> None:
    found = by_id(findings_of(database, "debian-12"))["CVE-2024-45491"]
    assert found.package.name == "libexpat1"
    assert found.severity is Severity.CRITICAL
    assert found.fixed == "2.5.0-1+deb12u1"
    assert found.fix_published == 1_726_272_000_000  # 2024-09-14
    assert found.advisories == ("DSA-5770-1",)
    assert found.url == "https://security-tracker.debian.org/tracker/CVE-2024-45491"
    assert found.group == "debian:12"
    assert found.scores == (CRITICAL,)
    assert not found.will_not_fix


def test_one_that_is_not_fixed_and_one_that_will_not_be(database: GrypeDatabase) -> None:
    found = by_id(findings_of(database, "debian-12"))
    assert (found["CVE-2026-5450"].fixed, found["CVE-2026-5450"].will_not_fix) == (None, False)
    assert (found["CVE-2099-1003"].fixed, found["CVE-2099-1003"].will_not_fix) == (None, True)


def test_a_severity_that_nobody_said_is_unknown(database: GrypeDatabase) -> None:
    found = by_id(findings_of(database, "debian-12"))
    assert found["CVE-2099-1001"].severity is Severity.UNKNOWN
    assert found["CVE-2005-2541"].severity is Severity.NEGLIGIBLE


def test_a_severity_of_a_word_that_nobody_knows_is_unknown(database: GrypeDatabase) -> None:
    said = answer("debian-12")
    for match in said["matches"]:
        match["vulnerability"]["severity"] = "Grave"
        match["relatedVulnerabilities"] = []
    found = read(said, facts_of("debian-12"), database).findings
    assert found
    assert {one.severity for one in found} == {Severity.UNKNOWN}


def test_a_distributors_own_score_is_told_from_the_published_one(database: GrypeDatabase) -> None:
    found = by_id(findings_of(database, "rhel-9"))["CVE-2023-0286"]
    assert [(one.base, one.vendor) for one in found.scores] == [(7.4, True), (7.4, False)]
    assert found.group == "rhel:9"
    assert found.advisories == ("RHSA-2023:0946",)


def test_a_ghsa_counts_as_its_cve(database: GrypeDatabase) -> None:
    found = by_id(findings_of(database, "python"))
    jinja = found["CVE-2024-34064"]
    assert jinja.advisories == ("GHSA-h75v-3vvj-5mfj",)
    assert (jinja.package.name, jinja.package.type, jinja.fixed) == ("jinja2", "python", "3.1.4")
    assert jinja.group == "github:python"
    assert not [one for one in found if one.startswith("GHSA")]


def test_what_grype_ignores_is_no_finding(database: GrypeDatabase) -> None:
    said = answer("debian-12")
    ignored = [one["vulnerability"]["id"] for one in said["ignoredMatches"]]
    assert ignored == ["CVE-2099-1004"]  # of the kernel, in the package of its headers
    assert "CVE-2099-1004" not in by_id(findings_of(database, "debian-12"))


def test_a_release_without_records_is_unavailable(database: GrypeDatabase) -> None:
    matches = findings_of(database, "debian-13")
    assert matches.unavailable == "Grype's database has no records of this release"
    assert matches.as_of is None
    assert matches.findings == ()
    assert matches.uncovered == facts_of("debian-13").packages


def test_records_of_another_release_are_not_this_ones(database: GrypeDatabase) -> None:
    assert answer("alpine-3.24")["matches"], "Grype goes by Alpine 3.20"
    matches = findings_of(database, "alpine-3.24")
    assert matches.unavailable
    assert matches.findings == ()
    assert len(matches.uncovered) == len(facts_of("alpine-3.24").packages)


@pytest.mark.parametrize("image", ["no-distro", "strange"])
def test_a_distribution_that_nobody_knows_is_unavailable(
    database: GrypeDatabase, image: str
) -> None:
    matches = findings_of(database, image)
    assert matches.unavailable
    assert matches.uncovered == facts_of(image).packages


def test_a_release_that_grype_does_not_know_by_name_is_unavailable(
    database: GrypeDatabase,
) -> None:
    said = answer("debian-12") | {"distro": {"name": "", "version": "", "idLike": None}}
    assert read(said, facts_of("debian-12"), database).unavailable


def test_a_release_that_nobody_looks_after_is_unavailable_whatever_was_found(
    database: GrypeDatabase,
) -> None:
    matches = findings_of(database, "debian-9")
    assert matches.unavailable.startswith("support of this release ended on 2022-07-01: nobody")
    assert [one.id for one in matches.findings] == ["CVE-2021-33560"]


def test_data_is_as_old_as_what_it_was_built_of(database: GrypeDatabase) -> None:
    assert findings_of(database, "alpine-3.20").as_of == 1_795_132_800_000  # 2026-11-20


def test_all_of_a_known_release_and_of_known_languages_is_covered(
    database: GrypeDatabase,
) -> None:
    for image in ("debian-12", "alpine-3.20", "rhel-9", "python", "owned"):
        assert findings_of(database, image).uncovered == (), image
    rocky = [
        msgspec.structs.replace(one, origin="Rocky Enterprise Software Foundation")
        for one in facts_of("rocky-9").packages  # recorded with Red Hat's own packages
    ]
    facts = changed("rocky-9", packages=tuple(rocky))
    assert read(answer("rocky-9"), facts, database).uncovered == ()


def test_what_a_distributions_package_brought_is_covered_with_it(database: GrypeDatabase) -> None:
    owner = package(type="deb", name="ruby-rails", version="1-1", source_version="1-1")
    owned = package(type="gem", owner="ruby-rails")
    facts = changed("debian-12", packages=(*facts_of("debian-12").packages, owner, owned))
    assert read(answer("debian-12"), facts, database).uncovered == ()
    facts = changed("debian-13", packages=(owner, owned))
    assert read(answer("debian-13"), facts, database).uncovered == (owner, owned)


@pytest.mark.parametrize(
    "uncovered",
    [
        package(type="gem"),  # no record of any
        package(type="rpm"),  # of another distribution's kind
        package(version=""),
        package(version="UNKNOWN"),
        package(version="(devel)"),
        package(version="not a version"),
        package(version="1.0-SNAPSHOT"),
        package(version="1.0 2"),
        package(type="deb", version="v1"),
        package(type="deb", version="1.0 2"),
        package(type="deb", version="1.0-1", source_version="1\x00"),
        package(type="binary"),  # without a name that NVD knows
        package(type="something-new"),
    ],
    ids=lambda one: f"{one.type} {one.version}",
)
def test_silence_about_others_means_nothing(database: GrypeDatabase, uncovered: Any) -> None:
    facts = changed("debian-12", packages=(*facts_of("debian-12").packages, uncovered))
    assert read(answer("debian-12"), facts, database).uncovered == (uncovered,)


def test_a_program_is_covered_by_its_name_at_nvd_and_a_plugin_as_what_it_is_looked_for(
    database: GrypeDatabase,
) -> None:
    program = package(type="binary", cpes=("cpe:2.3:a:redis:redis:6.2.6:*:*:*:*:*:*:*",))
    plugin = package(type="jenkins-plugin")
    languages = (*database.ecosystems, Ecosystem("java-archive", 1))
    java = msgspec.structs.replace(database, ecosystems=languages)
    facts = changed("empty", packages=(program, plugin))
    assert read(answer("empty"), facts, java).uncovered == ()
    assert read(answer("empty"), facts, database).uncovered == (plugin,)


def advisory(identity: str, *cves: tuple[str, str], severity: str = "High") -> dict[str, Any]:
    """A match of package 0 by a record that names CVEs, each with its own severity."""
    return {
        "vulnerability": {
            "id": identity,
            "namespace": "amazon:distro:amazonlinux:2023",
            "severity": severity,
            "dataSource": "https://alas.example",
            "cvss": None,
            "fix": {"versions": ["2.0", "3.0"], "state": "fixed"},
            "advisories": None,
        },
        "relatedVulnerabilities": [
            {"id": cve, "namespace": "nvd:cpe", "severity": word, "cvss": []} for cve, word in cves
        ],
        "matchDetails": [{"fix": {"suggestedVersion": "3.0"}}],
        "artifact": {"id": "0"},
    }


def test_an_advisory_about_several_cves_is_one_finding_for_each(database: GrypeDatabase) -> None:
    said = answer("debian-12")
    said["matches"] = [
        advisory("ALAS-2024-1", ("CVE-2099-1", "Critical"), ("CVE-2099-2", "Low")),
        advisory("ALAS-2024-2", ("CVE-2099-2", "Low"), severity="Medium"),
    ]
    found = by_id(read(said, facts_of("debian-12"), database))
    assert list(found) == ["CVE-2099-1", "CVE-2099-2"]
    assert found["CVE-2099-1"].severity is Severity.CRITICAL
    assert found["CVE-2099-2"].severity is Severity.HIGH
    assert found["CVE-2099-2"].advisories == ("ALAS-2024-1", "ALAS-2024-2")
    assert found["CVE-2099-1"].fixed == "3.0", "the one that Grype suggests"


def test_an_unknown_severity_is_the_cves_where_that_is_known(database: GrypeDatabase) -> None:
    said = answer("debian-12")
    said["matches"] = [advisory("CVE-2099-1", ("CVE-2099-1", "Critical"), severity="Unknown")]
    (found,) = read(said, facts_of("debian-12"), database).findings
    assert found.severity is Severity.CRITICAL


def test_a_distributors_word_counts_before_the_published_one(database: GrypeDatabase) -> None:
    said = answer("debian-12")
    said["matches"] = [advisory("CVE-2099-1", ("CVE-2099-1", "Critical"), severity="Negligible")]
    (found,) = read(said, facts_of("debian-12"), database).findings
    assert found.severity is Severity.NEGLIGIBLE


def test_an_answer_of_another_database_is_not_taken(database: GrypeDatabase) -> None:
    said = answer("debian-12")
    said["descriptor"]["db"]["status"]["built"] = "2026-11-24T06:00:00Z"
    with pytest.raises(OtherDatabase):
        read(said, facts_of("debian-12"), database)


def test_an_answer_about_packages_that_are_not_there_is_not_taken(
    database: GrypeDatabase,
) -> None:
    with pytest.raises(ValueError, match="package 1 of 0"):
        read(answer("debian-12"), changed("debian-12", packages=()), database)


def test_of_an_rpm_of_another_vendor_silence_says_nothing_nor_of_what_it_brought(
    database: GrypeDatabase,
) -> None:
    epels = package(type="rpm", name="epels", version="1-1", origin="Fedora Project")
    owned = package(type="gem", owner="epels")
    facts = changed("rhel-9", packages=(*facts_of("rhel-9").packages, epels, owned))
    assert read(answer("rhel-9"), facts, database).uncovered == (epels, owned)
