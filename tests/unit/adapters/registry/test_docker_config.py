"""Which entry of a credentials file is for which repository."""

import base64
import json
from pathlib import Path

import pytest

from shared.adapters.registry.docker_config import Helper, read_docker_config
from shared.adapters.registry.endpoints import Target
from shared.adapters.registry.logins import IdentityToken, Login, Password
from shared.domain.reference import parse_reference
from shared.domain.rules import RegistryRule, Rules


def target_of(image: str, file: Path) -> Target:
    reference = parse_reference(image)
    rules = Rules(registries=(RegistryRule(host=reference.host, credentials=str(file)),))
    return Target.under(rules, reference)


def write(file: Path, **passwords: str) -> Path:
    auths = {host: {"username": "ada", "password": word} for host, word in passwords.items()}
    file.write_text(json.dumps({"auths": auths}))
    return file


def login_for(image: str, file: Path) -> Login | Helper:
    return read_docker_config(file.read_bytes()).login(target_of(image, file))


def password_for(image: str, file: Path) -> str:
    login = login_for(image, file)
    assert isinstance(login, Password)
    return base64.b64decode(login.basic().removeprefix("Basic ")).decode().partition(":")[2]


@pytest.mark.parametrize(
    ("key", "image"),
    [
        ("ghcr.io", "ghcr.io/team/app"),
        ("https://ghcr.io", "ghcr.io/team/app"),
        ("https://ghcr.io/v2/", "ghcr.io/team/app"),
        ("GHCR.io", "ghcr.io/team/app"),
        ("ghcr.io/team", "ghcr.io/team/app"),
        ("ghcr.io/team/app", "ghcr.io/team/app"),
        ("registry.corp:5000", "registry.corp:5000/app"),
        ("https://index.docker.io/v1/", "redis"),
        ("docker.io", "redis"),
        ("registry-1.docker.io", "redis"),
    ],
)
def test_a_key_may_have_a_scheme_and_a_path(tmp_path: Path, key: str, image: str) -> None:
    assert password_for(image, write(tmp_path / "c.json", **{key: "word"})) == "word"


@pytest.mark.parametrize(
    "key", ["ghcr.io.evil.test", "io", "evil.ghcr.io", "ghcr.io:443", "ghcr.io/tea", "ghcr.io/app"]
)
def test_a_key_of_another_host_or_path_is_for_nobody_else(tmp_path: Path, key: str) -> None:
    with pytest.raises(ValueError, match=r"has no entry for ghcr\.io"):
        password_for("ghcr.io/team/app", write(tmp_path / "c.json", **{key: "word"}))


def test_the_longest_path_of_a_host_wins(tmp_path: Path) -> None:
    keys = {"ghcr.io/team/app": "narrow", "ghcr.io": "wide", "ghcr.io/team": "middle"}
    file = write(tmp_path / "c.json", **keys)
    assert password_for("ghcr.io/team/app", file) == "narrow"
    assert password_for("ghcr.io/team/web", file) == "middle"
    assert password_for("ghcr.io/other/web", file) == "wide"


def test_a_helper_of_the_host_goes_before_an_entry_and_that_before_the_store(
    tmp_path: Path,
) -> None:
    file = tmp_path / "c.json"
    config = {
        "auths": {"ghcr.io": {"username": "ada", "password": "word"}, "quay.io": {}},
        "credHelpers": {"registry.corp:5000": "ecr-login", "ghcr.io": "ghcr"},
        "credsStore": "desktop",
    }
    file.write_text(json.dumps(config))
    assert login_for("registry.corp:5000/app", file) == Helper("docker-credential-ecr-login")
    assert login_for("ghcr.io/app", file) == Helper("docker-credential-ghcr")
    assert login_for("quay.io/app", file) == Helper("docker-credential-desktop")
    assert login_for("redis", file) == Helper("docker-credential-desktop")
    file.write_text(json.dumps({**config, "credHelpers": {"registry.corp:5000": "ecr-login"}}))
    assert password_for("ghcr.io/app", file) == "word"


@pytest.mark.parametrize("key", ["https://index.docker.io/v1/", "docker.io"])
def test_docker_hub_has_a_helper_by_any_of_its_names(tmp_path: Path, key: str) -> None:
    file = tmp_path / "c.json"
    file.write_text(json.dumps({"credHelpers": {key: "desktop"}}))
    assert login_for("redis", file) == Helper("docker-credential-desktop")
    with pytest.raises(ValueError, match=r"has no entry for ghcr\.io"):
        login_for("ghcr.io/app", file)


def test_an_identity_token_goes_before_the_password_beside_it(tmp_path: Path) -> None:
    file = tmp_path / "c.json"
    entry = {"auth": base64.b64encode(b"0000:").decode(), "identitytoken": "word"}
    file.write_text(json.dumps({"auths": {"ghcr.io": entry}}))
    login = login_for("ghcr.io/app", file)
    assert isinstance(login, IdentityToken)
    assert login.text == "word"


def test_logins_do_not_show_themselves() -> None:
    assert "horse" not in repr(Password("ada", "horse")) + repr(IdentityToken("horse"))
