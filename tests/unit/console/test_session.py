from pathlib import Path

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from services.console.session import LIFE, MIN_TOKEN, Sessions, token_of
from services.console.settings import ConsoleSettings
from shared.domain.errors import InvalidSettings
from shared.runtime.settings import Secret

TOKEN = "correct-horse-battery-staple"
SESSIONS = Sessions(TOKEN)
NOW = 1_750_000_000


@given(now=st.integers(1_000_000_000, 4_000_000_000), after=st.integers(0, 2 * LIFE))
def test_a_cookie_holds_until_its_end_and_not_a_second_longer(now: int, after: int) -> None:
    ends = SESSIONS.ends(SESSIONS.issue(now=now), now=now + after)
    assert ends == (now + LIFE if after < LIFE else None)


@given(
    place=st.integers(0, len(SESSIONS.issue(now=NOW)) - 1), other=st.characters(max_codepoint=0x2FF)
)
def test_a_cookie_with_one_character_changed_does_not_hold(place: int, other: str) -> None:
    cookie = SESSIONS.issue(now=NOW)
    assume(cookie[place] != other)
    assert SESSIONS.ends(cookie[:place] + other + cookie[place + 1 :], now=NOW) is None


@given(st.text() | st.from_regex(r"[0-9]{1,14}\.[0-9a-f]{64}", fullmatch=True))
def test_what_a_stranger_makes_up_does_not_hold(cookie: str) -> None:
    assert SESSIONS.ends(cookie, now=0) is None


@pytest.mark.parametrize("how", ["{}x", " {}", "{}\n", "0{}", "{}.", "+{}", "٣{}"])
def test_a_good_cookie_with_something_beside_it_does_not_hold(how: str) -> None:
    assert SESSIONS.ends(how.format(SESSIONS.issue(now=NOW)), now=NOW) is None


def test_the_end_of_one_cookie_with_the_mac_of_another_does_not_hold() -> None:
    early, late = SESSIONS.issue(now=NOW), SESSIONS.issue(now=NOW + 60)
    mixed = f"{late.partition('.')[0]}.{early.partition('.')[2]}"
    assert SESSIONS.ends(mixed, now=NOW) is None


def test_every_console_with_the_token_believes_the_cookie_and_another_token_ends_it() -> None:
    cookie = SESSIONS.issue(now=NOW)
    assert Sessions(TOKEN).ends(cookie, now=NOW) == NOW + LIFE
    assert Sessions(f"{TOKEN}!").ends(cookie, now=NOW) is None


def test_the_token_is_in_no_cookie() -> None:
    assert TOKEN not in SESSIONS.issue(now=NOW)


@given(st.text())
def test_only_the_token_is_the_token(given_text: str) -> None:
    assert SESSIONS.is_token(given_text) == (given_text == TOKEN)
    assert SESSIONS.is_token(TOKEN)


def test_bytes_that_are_no_text_are_not_the_token() -> None:
    assert not SESSIONS.is_token(b"\xff\xfe".decode("utf-8", "surrogateescape"))


def test_without_a_token_one_is_made_and_kept_for_the_next_start(tmp_path: Path) -> None:
    settings = ConsoleSettings(imagegate_state=tmp_path / "state")
    token = token_of(settings)
    path = tmp_path / "state" / "console.token"
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.read_text().strip() == token
    assert len(token) >= 2 * MIN_TOKEN
    assert token_of(settings) == token
    assert token_of(ConsoleSettings(imagegate_state=tmp_path / "other")) != token


def test_a_token_that_was_set_is_used_and_none_is_made(tmp_path: Path) -> None:
    settings = ConsoleSettings(imagegate_state=tmp_path, imagegate_console_token=Secret(TOKEN))
    assert token_of(settings) == TOKEN
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("token", "words"),
    [
        ("x" * (MIN_TOKEN - 1), "15 characters: use at least 16"),
        ("pass word pass word", "without a space"),
        ("passwörter-passwörter", "ASCII"),
        ("line\nbreak-line-break", "ASCII"),
    ],
)
def test_a_token_that_is_short_or_cannot_travel_is_refused(token: str, words: str) -> None:
    with pytest.raises(InvalidSettings, match=words) as error:
        token_of(ConsoleSettings(imagegate_console_token=Secret(token)))
    assert token not in str(error.value)
