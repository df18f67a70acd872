"""Who gets in: the right token, login or signature, any of several while they change."""

import base64
import hashlib
import hmac
import sys
from collections.abc import Callable
from types import FrameType

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.intake.credentials import BasicLogin, BearerToken, BodySignature, require_any
from shared.domain.errors import InvalidSettings
from shared.runtime.settings import Secret
from tests.fakes.anchore_notices import PASSWORD, USER, login
from tests.fakes.pushes import KEY, TOKEN, signed

OTHER = "another-secret-of-enough-length"
BODY = b'{"reference": "registry.corp/team/app:1"}'
NONE = Secret("")


@pytest.mark.parametrize("value", [f"Bearer {TOKEN}", f"bearer {TOKEN}", f"Bearer   {TOKEN} "])
def test_the_right_token_gets_in(value: str) -> None:
    assert BearerToken(Secret(TOKEN)).may_be(value)


@pytest.mark.parametrize(
    "value",
    [
        "",
        TOKEN,
        "Bearer",
        "Bearer ",
        f"Basic {TOKEN}",
        f"Bearer {TOKEN[:-1]}",
        f"Bearer {TOKEN}x",
        f"Bearer {TOKEN.upper()}",
        f"Bearer {TOKEN}\n{OTHER}",
        "Bearer \udcff\udcfe",
        "Bearer tökén",
    ],
)
def test_any_other_token_does_not(value: str) -> None:
    token = BearerToken(Secret(f"{TOKEN}\n{OTHER}"))
    assert not token.may_be(value)
    assert not token.hold(value, BODY)


def test_each_of_several_tokens_gets_in_while_they_change() -> None:
    token = BearerToken(Secret(f"\n  {TOKEN}  \r\n\n{OTHER}\n"))
    assert token.may_be(f"Bearer {TOKEN}")
    assert token.may_be(f"Bearer {OTHER}")


def test_a_signature_by_any_of_the_keys_gets_in() -> None:
    signature = BodySignature(Secret(f"{OTHER}\n{KEY}"))
    for key in (KEY, OTHER):
        assert signature.hold(signed(BODY, key)["X-Signature"], BODY)
    assert signature.hold(signed(BODY)["X-Signature"].upper().replace("SHA256", "sha256"), BODY)


@pytest.mark.parametrize(
    "value",
    [
        "",
        "sha256=",
        "sha256=ff",
        "sha256=\udcff",
        signed(BODY)["X-Signature"].removeprefix("sha256="),
        signed(BODY)["X-Signature"].replace("sha256", "sha1"),
        signed(BODY, "not the key, but as long as one")["X-Signature"],
        signed(BODY + b" ")["X-Signature"],
        f"sha256={hashlib.sha256(BODY).hexdigest()}",
        f"sha256={hmac.new(b'', BODY, hashlib.sha256).hexdigest()}",
    ],
)
def test_any_other_signature_does_not(value: str) -> None:
    assert not BodySignature(Secret(KEY)).hold(value, BODY)


def basic(text: bytes) -> str:
    return f"Basic {base64.b64encode(text).decode()}"


@pytest.mark.parametrize("scheme", ["Basic", "basic", "Basic  "])
def test_the_right_login_gets_in(scheme: str) -> None:
    value = login()["Authorization"].replace("Basic", scheme)
    assert BasicLogin(USER, Secret(PASSWORD)).may_be(value)
    assert BasicLogin(USER, Secret(PASSWORD)).hold(value, BODY)


def test_a_password_may_hold_a_colon_and_letters_of_any_language() -> None:
    password = "pässwörd: with a colon"
    assert BasicLogin(USER, Secret(password)).may_be(login(password=password)["Authorization"])


@pytest.mark.parametrize(
    "value",
    [
        "",
        "Basic",
        "Basic ",
        f"Bearer {PASSWORD}",
        login()["Authorization"].replace("Basic", "Bearer"),
        login(user="admin")["Authorization"],
        login(user="")["Authorization"],
        login(password=PASSWORD[:-1])["Authorization"],
        login(password=f"{PASSWORD}x")["Authorization"],
        login(password=f"{PASSWORD}\n{OTHER}")["Authorization"],
        basic(PASSWORD.encode()),
        basic(f"{USER}{PASSWORD}".encode()),
        basic(b"\xff:\xfe"),
        f"Basic {USER}:{PASSWORD}",
        f"{login()['Authorization']}!",
        "Basic \udcff",
        "Basic tökén",
    ],
)
def test_any_other_login_does_not(value: str) -> None:
    right = BasicLogin(USER, Secret(f"{PASSWORD}\n{OTHER}"))
    assert not right.may_be(value)
    assert not right.hold(value, BODY)


def test_each_of_several_passwords_gets_in_while_they_change() -> None:
    both = BasicLogin(USER, Secret(f"{PASSWORD}\n{OTHER}\n"))
    for password in (PASSWORD, OTHER):
        assert both.may_be(login(password=password)["Authorization"])


@pytest.mark.parametrize("user", ["", "a:b"])
def test_a_user_that_no_login_can_name_is_a_mistake(user: str) -> None:
    with pytest.raises(InvalidSettings, match="IMAGEGATE_EVENTS_USER"):
        BasicLogin(user, Secret(PASSWORD))


@given(st.text(max_size=100), st.binary(max_size=50))
def test_no_guess_gets_in(value: str, body: bytes) -> None:
    assert not BearerToken(Secret(TOKEN)).may_be(value)
    assert not BasicLogin(USER, Secret(PASSWORD)).may_be(value)
    assert not BasicLogin(USER, Secret(PASSWORD)).may_be(basic(body))
    assert not BodySignature(Secret(KEY)).hold(value, body)
    assert not BodySignature(Secret(KEY)).hold(f"sha256={value}", body)


def compared(check: Callable[[], bool]) -> int:
    """How often `check` compares in constant time."""
    calls = 0

    def watch(_frame: FrameType, what: str, called: object) -> None:
        nonlocal calls
        calls += what == "c_call" and called is hmac.compare_digest

    before = sys.getprofile()
    sys.setprofile(watch)
    try:
        check()
    finally:
        sys.setprofile(before)
    return calls


@pytest.mark.parametrize("secret", [TOKEN, OTHER, KEY, "wrong"])
def test_every_secret_is_compared_in_constant_time_whichever_fits(secret: str) -> None:
    secrets = Secret(f"{TOKEN}\n{OTHER}\n{KEY}")
    token, signature = BearerToken(secrets), BodySignature(secrets)
    logins = BasicLogin(USER, secrets)
    value = signed(BODY, secret)["X-Signature"]
    assert compared(lambda: token.may_be(f"Bearer {secret}")) == 3
    assert compared(lambda: logins.may_be(login(password=secret)["Authorization"])) == 3
    assert compared(lambda: signature.hold(value, BODY)) == 3


def test_without_a_secret_nobody_gets_in() -> None:
    empty = f"sha256={hmac.new(b'', BODY, hashlib.sha256).hexdigest()}"
    for value in ("", "Bearer ", "Bearer", empty):
        assert not BearerToken(NONE).may_be(value)
        assert not BasicLogin(USER, NONE).may_be(value)
        assert not BasicLogin(USER, NONE).may_be(basic(f"{USER}:".encode()))
        assert not BodySignature(NONE).may_be(value)
        assert not BodySignature(NONE).hold(value, BODY)


def test_one_secret_is_enough_and_none_is_said() -> None:
    require_any(BearerToken(NONE), BodySignature(Secret(KEY)))
    with pytest.raises(InvalidSettings, match="set IMAGEGATE_EVENTS_TOKEN or IMAGEGATE_EVENTS_HMA"):
        require_any(BearerToken(NONE), BodySignature(Secret(" \n ")))


def test_a_secret_that_can_be_guessed_is_refused_and_not_repeated() -> None:
    with pytest.raises(InvalidSettings, match="secret 2 of 2 has 7 characters") as caught:
        BodySignature(Secret(f"{KEY}\nhunter2"))
    assert "hunter2" not in str(caught.value)
