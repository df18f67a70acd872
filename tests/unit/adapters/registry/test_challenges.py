"""What registries ask for before they answer."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.adapters.registry.challenges import Challenge, choose, read_challenges


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ([], []),
        ([""], []),
        (["Basic"], [("basic", {})]),
        (['Basic realm="x"'], [("basic", {"realm": "x"})]),
        (
            ['Bearer realm="https://a/t",service="s",scope="repository:x:pull,push"'],
            [
                (
                    "bearer",
                    {"realm": "https://a/t", "service": "s", "scope": "repository:x:pull,push"},
                )
            ],
        ),
        (["bearer REALM=x , Service = y"], [("bearer", {"realm": "x", "service": "y"})]),
        (
            ['Basic realm="a, b", Bearer realm="c"'],
            [("basic", {"realm": "a, b"}), ("bearer", {"realm": "c"})],
        ),
        (
            ["Negotiate", 'Bearer realm="a\\"b"'],
            [("negotiate", {}), ("bearer", {"realm": 'a"b'})],
        ),
        (['Bearer realm="a", realm="b"'], [("bearer", {"realm": "a"})]),
        (['Bearer realm="a'], [("bearer", {"realm": ""})]),
        (['realm="a"'], []),
        (["= ; Bearer"], []),
    ],
)
def test_challenges_are_read_from_every_header(
    headers: list[str], expected: list[tuple[str, dict[str, str]]]
) -> None:
    assert read_challenges(headers) == tuple(Challenge(*each) for each in expected)


def test_a_token_is_chosen_before_a_password_and_nothing_else_is() -> None:
    basic, bearer = Challenge("basic", {}), Challenge("bearer", {})
    assert choose([basic, bearer]) is bearer
    assert choose([Challenge("negotiate", {}), basic]) is basic
    assert choose([Challenge("negotiate", {})]) is None


@given(st.lists(st.text(max_size=200), max_size=3))
def test_no_header_makes_it_fail(headers: list[str]) -> None:
    assert isinstance(read_challenges(headers), tuple)


def test_a_header_of_quotes_and_backslashes_is_read_in_one_go() -> None:
    assert read_challenges(["Bearer realm=" + '"\\' * 100_000])[0].scheme == "bearer"
