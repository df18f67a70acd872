"""Packages that must not be there, and that must."""

import pytest

from services.scanner.records import Package
from tests.unit.scanner.samples import evaluated, facts, messages, rule


def package(version: str, kind: str = "deb", name: str = "openssl") -> Package:
    return Package(name, version, kind, name, version)


def said(*packages: Package, trigger: str = "required_package", **params: str) -> list[str]:
    asked = rule("packages", trigger, **({"name": "openssl"} | params))
    return messages(facts(packages=packages), asked)


@pytest.mark.parametrize(
    ("params", "found"),
    [
        ({}, ["Package is blacklisted: openssl"]),
        ({"version": "3.0-1"}, ["Package is blacklisted: openssl-3.0-1"]),
        ({"version": "3.0"}, []),
        ({"version": ""}, ["Package is blacklisted: openssl"]),
        ({"name": "libssl3"}, []),
        ({"name": "OpenSSL"}, []),
    ],
)
def test_a_package_is_forbidden_by_name_and_version(
    params: dict[str, str], found: list[str]
) -> None:
    assert said(package("3.0-1"), trigger="blacklist", **params) == found


def test_a_package_of_a_language_can_be_forbidden_too() -> None:
    jar = package("2.14", "java-archive", "log4j-core")

    assert said(jar, trigger="blacklist", name="log4j-core") == [
        "Package is blacklisted: log4j-core"
    ]


def test_one_that_is_there_twice_is_told_once() -> None:
    assert len(said(package("3.0-1"), package("1.1-1"), trigger="blacklist")) == 1


@pytest.mark.parametrize(
    ("params", "found"),
    [
        ({}, ["Required input package (openssl) is not present in container image"]),
        (
            {"version": "3.0"},
            ["Required input package (openssl,3.0) is not present in container image"],
        ),
    ],
)
def test_a_required_package_that_is_not_there_is_told(
    params: dict[str, str], found: list[str]
) -> None:
    assert said(package("1", name="bash"), **params) == found
    assert said(package("3.0", "python"), **params) == found


def test_a_required_package_without_a_version_only_has_to_be_there() -> None:
    assert said(package("0.1")) == []
    assert said(package("0.1"), version_match_type="exact") == []


@pytest.mark.parametrize("params", [{}, {"version_match_type": "exact"}])
def test_an_exact_version_is_the_whole_text(params: dict[str, str]) -> None:
    assert said(package("3.0-1"), version="3.0-1", **params) == []
    assert said(package("3.0-1"), version="3.0", **params) == [
        "Required input package (openssl) is present (3.0-1), but not at the version specified in "
        "policy (3.0)"
    ]


def test_the_id_of_another_version_is_that_of_engines_message_which_names_no_version() -> None:
    image = facts(packages=(package("3.0-1"),))

    def trigger_id(version: str) -> str:
        asked = rule("packages", "required_package", name="openssl", version=version)
        (row,) = evaluated(image, asked).rows
        return row.trigger_id

    assert trigger_id("3.0") == trigger_id("2.9") == "4109a4b24c1c769cb2929027c12109bb"


@pytest.mark.parametrize(
    ("kind", "installed", "wanted", "old"),
    [
        ("deb", "3.0-1", "3.0-1", False),
        ("deb", "3.0-1", "3.0~rc1-1", False),
        ("deb", "3.0~rc1-1", "3.0-1", True),
        ("deb", "3.0-10", "3.0-9", False),
        ("deb", "9.0-1", "1:1.0-1", True),
        ("apk", "3.1.4-r5", "3.1.4-r10", True),
        ("apk", "3.1.4-r10", "3.1.4-r5", False),
        ("apk", "3.1.4_rc1-r0", "3.1.4-r0", True),
        ("rpm", "3.0-9.el9", "3.0-10.el9", True),
        ("rpm", "1:3.0-1.el9", "3.1-1.el9", False),
        ("rpm", "3.0-1.el9", "3.0~rc1-1.el9", False),
        ("rpm", "2:3.0-1.el9", "1:3.1-1.el9", False),
        ("apk", "1.0_git20240512-r0", "1.0-r0", False),
    ],
)
def test_a_minimum_is_compared_as_the_distribution_does(
    kind: str, installed: str, wanted: str, old: bool
) -> None:
    assert said(package(installed, kind), version=wanted, version_match_type="minimum") == (
        [
            f"Required min-version input package (openssl) is present ({installed}), but is lower "
            f"version than what is specified in policy ({wanted})"
        ]
        if old
        else []
    )


def test_each_copy_of_a_required_package_has_to_be_new_enough() -> None:
    found = said(package("3.0-1"), package("1.1-1"), version="2.0-1", version_match_type="minimum")

    assert len(found) == 1
    assert "(1.1-1)" in found[0]


@pytest.mark.parametrize(
    ("installed", "wanted", "kind"),
    [
        ("not a version", "1.0", "deb"),
        ("1.0", "!!", "deb"),
        ("1.0", "1_0 x", "deb"),
        ("3.0-1.el9", "3.0", "rpm"),
        ("1.0-1", "1.0-2", "alpm"),
    ],
)
def test_versions_that_cannot_be_compared_fail_the_evaluation(
    installed: str, wanted: str, kind: str
) -> None:
    asked = rule(
        "packages",
        "required_package",
        name="openssl",
        version=wanted,
        version_match_type="minimum",
    )

    outcome = evaluated(facts(packages=(package(installed, kind),)), asked)
    assert outcome.status == "fail"
    assert outcome.problems[0].problem_type == "TriggerEvaluationError"
    assert "cannot be compared" in outcome.problems[0].details
