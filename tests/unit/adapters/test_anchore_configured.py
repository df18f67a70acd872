"""From settings to a login: what is set decides, and what contradicts itself is named."""

from pathlib import Path
from typing import Any

import pytest

from services.cli.settings import CliSettings
from services.console.settings import ConsoleSettings
from services.worker.settings import WorkerSettings
from shared.adapters.anchore.configured import NamesAnchore, detection_of, login_of, transport_of
from shared.adapters.anchore.detect import Api
from shared.adapters.anchore.login import BasicLogin, Login, NoLogin, OAuthLogin, TokenLogin
from shared.domain.errors import InvalidSettings
from shared.runtime.settings import Secret, read_settings
from tests.fakes.clock import FakeClock

SECRET = Secret("hunter2hunter2")
PASSWORD = {"anchore_password": SECRET}


def settings(**more: Any) -> WorkerSettings:
    return WorkerSettings(anchore_url="http://anchore:8228", **more)


def login(**more: Any) -> Login:
    return login_of(settings(**more), clock=FakeClock())


@pytest.mark.parametrize(
    ("told", "kind"),
    [
        ({}, NoLogin),
        (PASSWORD, BasicLogin),
        ({**PASSWORD, "anchore_auth": "basic"}, BasicLogin),
        ({**PASSWORD, "anchore_auth": "oauth"}, OAuthLogin),
        ({"anchore_api_key": SECRET}, BasicLogin),
        ({"anchore_token": SECRET}, TokenLogin),
        ({"anchore_token": SECRET, "anchore_auth": "token"}, TokenLogin),
    ],
)
def test_what_is_set_says_how_to_log_in(told: dict[str, Any], kind: type) -> None:
    assert type(login(**told)) is kind


@pytest.mark.parametrize(
    ("told", "words"),
    [
        (
            {**PASSWORD, "anchore_token": SECRET},
            "ANCHORE_PASSWORD and ANCHORE_TOKEN are both set: unset",
        ),
        (
            {"anchore_api_key": SECRET, "anchore_token": SECRET, "anchore_auth": "token"},
            "ANCHORE_API_KEY and ANCHORE_TOKEN are both set",
        ),
        ({"anchore_auth": "token"}, "ANCHORE_AUTH is token: set ANCHORE_TOKEN"),
        ({"anchore_auth": "api-key"}, "ANCHORE_AUTH is api-key: set ANCHORE_API_KEY"),
        ({"anchore_auth": "oauth"}, "ANCHORE_AUTH is oauth: set ANCHORE_PASSWORD"),
        ({"anchore_auth": "basic"}, "ANCHORE_AUTH is basic: set ANCHORE_PASSWORD"),
        (
            {**PASSWORD, "anchore_auth": "token"},
            "set ANCHORE_TOKEN, and ANCHORE_PASSWORD is set: unset it",
        ),
        ({**PASSWORD, "anchore_user": ""}, "ANCHORE_USER must be a user's name"),
        ({**PASSWORD, "anchore_user": "a:b"}, "and hold no ':'"),
    ],
)
def test_what_contradicts_itself_is_named(told: dict[str, Any], words: str) -> None:
    with pytest.raises(InvalidSettings, match=words) as failure:
        login(**told)
    assert SECRET.value not in str(failure.value)


async def test_an_api_is_found_out_unless_it_is_said() -> None:
    for api, known in (("auto", None), ("v1", Api.V1), ("v2", Api.V2)):
        told = settings(anchore_api=api)
        async with transport_of(told, clock=FakeClock()) as transport:
            detection = detection_of(told, transport)
            if known is not None:
                assert await detection.api() is known


@pytest.mark.parametrize("kind", [WorkerSettings, ConsoleSettings, CliSettings])
def test_who_asks_anchore_can_be_told_all_of_it(kind: type[WorkerSettings], tmp_path: Path) -> None:
    file = tmp_path / "password"
    file.write_text("secret")
    environ = {
        "ANCHORE_URL": "https://anchore/v2",
        "ANCHORE_API": "v2",
        "ANCHORE_AUTH": "oauth",
        "ANCHORE_USER": "imagegate",
        "ANCHORE_PASSWORD_FILE": str(file),
        "ANCHORE_PROXY": "http://proxy:3128",
    }
    told: NamesAnchore = read_settings(kind, environ=environ)
    assert isinstance(login_of(told, clock=FakeClock()), OAuthLogin)
    assert told.anchore_password.current() == "secret"
