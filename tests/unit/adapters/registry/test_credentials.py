"""Which entry of a credentials file is for which repository."""

import base64
import json
from pathlib import Path

import pytest

from shared.adapters.registry.credentials import CredentialFiles
from shared.adapters.registry.endpoints import Target
from shared.domain.errors import PermanentFailure
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


def password_for(image: str, file: Path) -> str:
    found = CredentialFiles().find(target_of(image, file))
    assert found is not None
    return base64.b64decode(found.basic().removeprefix("Basic ")).decode().partition(":")[2]


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
    with pytest.raises(PermanentFailure, match=r"has no entry for ghcr\.io"):
        password_for("ghcr.io/team/app", write(tmp_path / "c.json", **{key: "word"}))


def test_the_longest_path_of_a_host_wins(tmp_path: Path) -> None:
    keys = {"ghcr.io/team/app": "narrow", "ghcr.io": "wide", "ghcr.io/team": "middle"}
    file = write(tmp_path / "c.json", **keys)
    assert password_for("ghcr.io/team/app", file) == "narrow"
    assert password_for("ghcr.io/team/web", file) == "middle"
    assert password_for("ghcr.io/other/web", file) == "wide"


def test_a_file_is_read_again_when_it_was_replaced(tmp_path: Path) -> None:
    file = write(tmp_path / "c.json", **{"ghcr.io": "old"})
    files, target = CredentialFiles(), target_of("ghcr.io/app", file)
    before = files.find(target)
    write(tmp_path / "new.json", **{"ghcr.io": "new"}).replace(file)
    after = files.find(target)
    assert before is not None
    assert after is not None
    assert before.basic() != after.basic()


def test_a_file_that_is_too_large_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "c.json"
    file.write_bytes(b" " * 1_048_577)
    with pytest.raises(PermanentFailure, match="larger than 1048576 bytes"):
        password_for("ghcr.io/app", file)


def test_credentials_do_not_show_themselves(tmp_path: Path) -> None:
    file = write(tmp_path / "c.json", **{"ghcr.io": "word"})
    found = CredentialFiles().find(target_of("ghcr.io/app", file))
    assert "word" not in repr(found)
