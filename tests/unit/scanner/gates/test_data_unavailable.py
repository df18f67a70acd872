"""What the data cannot say is said."""

import pytest

from services.scanner.matching.finding import Matches
from services.scanner.records import Package
from tests.unit.scanner.samples import AS_OF, GOOD, UNCOVERED, evaluated, facts, messages, rule

UNAVAILABLE = rule("vulnerabilities", "vulnerability_data_unavailable")
CRITICALS = rule(
    "vulnerabilities",
    "package",
    package_type="os",
    severity_comparison="=",
    severity="critical",
)


def test_a_package_that_the_feed_does_not_cover_is_named_and_stops() -> None:
    outcome = evaluated(facts(packages=(GOOD, UNCOVERED)), CRITICALS, UNAVAILABLE)

    assert outcome.final_action == "stop"
    assert [row.message for row in outcome.rows] == [
        "The vulnerability feed of debian:12 covers 1 of 2 packages. It knows nothing of: stranger"
    ]


def test_many_uncovered_packages_are_counted_after_the_first_ten() -> None:
    strangers = tuple(Package(f"p{n:02}", "1", "deb", f"p{n:02}", "1") for n in range(25))

    (message,) = messages(facts(packages=strangers), UNAVAILABLE)
    assert message.endswith("p00, p01, p02, p03, p04, p05, p06, p07, p08, p09 and 15 more")


def test_accepting_one_set_of_uncovered_packages_accepts_no_other() -> None:
    strangers = tuple(Package(f"p{n:02}", "1", "deb", f"p{n:02}", "1") for n in range(25))
    other = (*strangers[:-1], Package("q", "1", "deb", "q", "1"))

    (first,) = evaluated(facts(packages=strangers), UNAVAILABLE).rows
    (second,) = evaluated(facts(packages=other), UNAVAILABLE).rows
    assert first.message == second.message
    assert first.trigger_id != second.trigger_id


def test_without_a_rule_about_missing_data_the_scanner_warns_of_it_by_itself() -> None:
    outcome = evaluated(facts(packages=(GOOD, UNCOVERED)), CRITICALS)

    assert [(row.trigger, row.action) for row in outcome.rows] == [
        ("vulnerability_data_unavailable", "warn")
    ]
    assert (outcome.status, outcome.final_action) == ("pass", "warn")


def test_a_policy_that_asks_for_no_vulnerabilities_gets_no_such_warning() -> None:
    assert (
        evaluated(facts(packages=(UNCOVERED,)), rule("packages", "blacklist", name="x")).rows == ()
    )


def test_a_release_without_data_is_told_as_engine_tells_it() -> None:
    scratch = facts(distro="Unknown", distro_version="0", packages=())

    (row,) = evaluated(scratch, UNAVAILABLE).rows
    assert row.message == (
        "Distro-specific feed data not found for distro namespace: Unknown:0. "
        "Cannot perform CVE scan OS/distro packages"
    )
    assert row.trigger_id == "149bf2e8839f951a91d0915bce5cd2f5"  # as recorded from Engine


def test_a_release_whose_support_has_ended_is_told_with_the_reason_and_accepted_as_without() -> (
    None
):
    old = facts(distro="debian", distro_version="9", packages=(GOOD,))
    ended = Matches("samples", "debian:9", AS_OF, unavailable="support ended on 2022-06-30")
    gone = Matches("samples", "debian:9", unavailable="no data")

    (row,) = evaluated(old, UNAVAILABLE, known=ended).rows
    (without,) = evaluated(old, UNAVAILABLE, known=gone).rows
    assert row.message == f"{without.message}: support ended on 2022-06-30"
    assert row.trigger_id == without.trigger_id


def test_an_image_of_a_known_release_without_any_package_is_not_clean() -> None:
    (message,) = messages(facts(packages=()), UNAVAILABLE)

    assert "lists no package of it" in message


def test_a_vulnerability_without_a_severity_is_said() -> None:
    vague = Package("libvague1", "1.0", "deb", "vague", "1.0")

    assert messages(facts(packages=(vague,)), CRITICALS, UNAVAILABLE) == [
        "Vulnerabilities without a known severity: CVE-2099-0003+libvague1"
    ]


def test_packages_of_languages_count_only_where_the_policy_asks_for_all() -> None:
    image = facts(packages=(GOOD, Package("requests", "2.0", "python", "requests", "2.0")))
    of_all = rule("vulnerabilities", "package", package_type="all")

    assert messages(image, CRITICALS, UNAVAILABLE) == []
    assert "requests (python)" in messages(image, of_all, UNAVAILABLE)[-1]


def test_an_old_feed_can_be_asked_for() -> None:
    week = rule("vulnerabilities", "stale_feed_data", "WARN", max_days_since_sync="7")
    six_days = rule("vulnerabilities", "stale_feed_data", "WARN", max_days_since_sync="6")
    elsewhere = facts(distro="alpine", distro_version="3.20")

    assert messages(facts(), week) == []
    assert messages(facts(), six_days) == [
        "The vulnerability feed for this image distro is older than MAXAGE (6) days"
    ]
    assert len(messages(elsewhere, week)) == 1


@pytest.mark.parametrize("kind", ["non-os", "all"])
def test_either_way_of_asking_for_them_makes_packages_of_languages_count(kind: str) -> None:
    image = facts(packages=(GOOD, Package("requests", "2.0", "python", "requests", "2.0")))
    asked = rule("vulnerabilities", "package", package_type=kind)

    assert "requests (python)" in messages(image, asked)[-1]


def test_who_asks_for_certain_vulnerabilities_asks_about_every_package() -> None:
    image = facts(packages=(GOOD, Package("requests", "2.0", "python", "requests", "2.0")))
    asked = rule("vulnerabilities", "blacklist", vulnerability_ids="CVE-2099-9999")

    (row,) = evaluated(image, asked).rows
    assert (row.trigger, row.action) == ("vulnerability_data_unavailable", "warn")
    assert "requests (python)" in row.message


def test_what_an_image_contradicts_itself_about_is_said() -> None:
    image = facts(contradictions=("os-release says alpine, its packages are Debian's",))

    assert messages(image, UNAVAILABLE) == [
        "What the image says of its packages is not to be believed: "
        "os-release says alpine, its packages are Debian's"
    ]
