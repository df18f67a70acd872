"""Which ports an image exposes, by its Dockerfile and its config."""

from typing import Any

import pytest

from tests.unit.scanner.samples import evaluated, facts, messages, rule

DENIED = "which is in policy file DENIEDPORTS list"
NOT_ALLOWED = "which is not in policy file ALLOWEDPORTS list"
UNKNOWN = "which cannot be known, and may be in policy file DENIEDPORTS list"


def exposing(lines: str, **changes: Any) -> Any:
    return facts(dockerfile=f"FROM scratch\n{lines}\n", **changes)


def denied(image: Any, ports: str = "22", **params: str) -> list[str]:
    return said(image, DENIED, ports, "blacklist", **params)


def not_allowed(image: Any, ports: str = "80", **params: str) -> list[str]:
    return said(image, NOT_ALLOWED, ports, "whitelist", **params)


def said(image: Any, why: str, ports: str, kind: str, **params: str) -> list[str]:
    """What stands in the brackets of each message."""
    found = messages(image, rule("dockerfile", "exposed_ports", ports=ports, type=kind, **params))
    begin = "Dockerfile exposes port ("
    for message in found:
        assert message.startswith(begin)
        assert message.endswith((why, UNKNOWN))
    return [message.removeprefix(begin).partition(")")[0] for message in found]


def test_a_port_is_told_as_engine_tells_it_with_the_id_that_it_has_there() -> None:
    asked = rule("dockerfile", "exposed_ports", ports="22", type="blacklist")

    (row,) = evaluated(exposing("EXPOSE 22"), asked).rows
    assert row.message == ("Dockerfile exposes port (22) which is in policy file DENIEDPORTS list")
    assert row.trigger_id == "cc05c35507995b4a657b63f9b0baa281"  # as recorded


@pytest.mark.parametrize(
    ("lines", "found"),
    [
        ("EXPOSE 22", ["22"]),
        ("expose 22", ["22"]),
        ("EXPOSE 80 22/tcp 443", ["22/tcp"]),
        ("EXPOSE 22/udp", ["22/udp"]),
        ("EXPOSE 22/UDP", ["22/UDP"]),
        ("EXPOSE 22 22/tcp", ["22"]),
        ("EXPOSE 22 22/udp", ["22", "22/udp"]),
        ("EXPOSE 22\nEXPOSE 22", ["22"]),
        ("EXPOSE 20-25", ["22"]),
        ("EXPOSE 20-25/udp", ["22/udp"]),
        ("EXPOSE map[22/tcp:{} 80/tcp:{}]", ["22/tcp"]),
        ('EXPOSE "22"', ["22"]),
        ("EXPOSE 80 \\\n  22", ["22"]),
        ("EXPOSE 80", []),
        ("EXPOSE 2200", []),
        ("EXPOSE 220-225", []),
        ("RUN echo EXPOSE 22", []),
        ("", []),
    ],
)
def test_denied_ports_are_found_in_all_their_forms(lines: str, found: list[str]) -> None:
    assert denied(exposing(lines)) == found


@pytest.mark.parametrize(
    ("lines", "found"),
    [
        ("EXPOSE 80", []),
        ("EXPOSE 80/tcp 80/udp", []),
        ("EXPOSE 80 443", ["443"]),
        ("EXPOSE 80-81", ["80-81"]),
        ("EXPOSE 8080/udp", ["8080/udp"]),
        ("EXPOSE $PORT", ["$PORT"]),
        ("EXPOSE map[443/tcp:{}]", ["443/tcp"]),
    ],
)
def test_what_is_not_allowed_is_told(lines: str, found: list[str]) -> None:
    assert not_allowed(exposing(lines)) == found


@pytest.mark.parametrize(
    "text", ["$PORT", "${PORT}", "${PORT:-80}/tcp", "ssh", "99999", "25-20", "22/", "-22", "٢٢"]
)
def test_what_cannot_be_known_counts_as_denied(text: str) -> None:
    assert denied(exposing(f"EXPOSE {text}")) == [text]


def test_several_ports_of_a_list_in_one_range_are_told_one_by_one() -> None:
    assert denied(exposing("EXPOSE 20-30/tcp"), "22, 25 ,80") == ["22/tcp", "25/tcp"]


def test_ports_of_the_config_count_beside_those_of_the_dockerfile() -> None:
    image = exposing("EXPOSE 80", exposed_ports=("22/tcp", "80/tcp"))

    assert denied(image) == ["22/tcp"]
    assert not_allowed(image) == ["22/tcp"]
    assert denied(exposing("EXPOSE 22", exposed_ports=("22/tcp",))) == ["22"]


def test_who_asks_for_a_given_dockerfile_only_is_told_of_it_alone() -> None:
    guessed = exposing("EXPOSE 22", exposed_ports=("22/tcp",))
    given = exposing("EXPOSE 80", exposed_ports=("22/tcp",), dockerfile_mode="Actual")

    assert denied(guessed, actual_dockerfile_only="true") == []
    assert denied(guessed, actual_dockerfile_only="False") == ["22"]
    assert denied(given, actual_dockerfile_only="true") == []
    assert denied(given, "80", actual_dockerfile_only="true") == ["80"]


def test_port_0_of_a_blacklist_is_any_port() -> None:
    asked = rule("dockerfile", "exposed_ports", ports="0", type="blacklist")

    assert messages(exposing("EXPOSE 80 $X"), asked) == [
        "Dockerfile exposes network ports but policy sets DENIEDPORTS=0: ['80', '$X']"
    ]
    assert messages(exposing(""), asked) == []


def test_port_0_of_a_whitelist_allows_none() -> None:
    assert not_allowed(exposing("EXPOSE 80"), "0") == ["80"]
