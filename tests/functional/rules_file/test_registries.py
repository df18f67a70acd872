"""Registries in the rules file: hosts, patterns and credentials."""

from pathlib import Path

import pytest

from shared.domain.errors import InvalidRules
from tests.functional.rules_file.files import HEAD, read, refused


@pytest.mark.parametrize(
    ("host", "said"),
    [
        ("https://ghcr.io", "has a scheme"),
        ("ghcr.io/team-a", "has a path"),
        ("registry", "give its domain or its port"),
        ("'*.corp'", "is not a host"),
        ("'*'", "is not a host"),
        ("ghcr.io:https", "is not a host"),
        ("ghcr .io", "is not a host"),
        ("ghcr.io@x", "is not a host"),
        ("gһcr.io", "is not a host"),
    ],
)
def test_a_host_that_no_reference_has_is_refused(file: Path, host: str, said: str) -> None:
    for text in (f"registries: [{{host: {host}}}]", f"allowRegistries: [{host}]"):
        with pytest.raises(InvalidRules, match=said):
            read(file, f"{HEAD}{text}\n")


@pytest.mark.parametrize("pattern", ["Team-A/**", "/team-a", "team a", "a.b/team-a/**", "-x", "ü"])
def test_a_pattern_that_matches_no_repository_is_refused(file: Path, pattern: str) -> None:
    with pytest.raises(InvalidRules, match=r"registries\[0\]\.repositories\[0\]"):
        read(file, f"{HEAD}registries: [{{host: a.b, repositories: ['{pattern}']}}]\n")


def test_a_tag_pattern_that_matches_no_tag_is_refused(file: Path) -> None:
    with pytest.raises(InvalidRules, match=r"registries\[0\]\.immutableTags\[0\]"):
        read(file, f"{HEAD}registries: [{{host: a.b, immutableTags: ['v 1']}}]\n")


@pytest.mark.parametrize("key", ["repositories", "immutableTags"])
@pytest.mark.parametrize("pattern", ["v[0-9]", "v[!a]*", "]"])
def test_classes_in_brackets_are_not_taken_any_more(file: Path, key: str, pattern: str) -> None:
    body = f"registries:\n- host: a.b\n  {key}: ['{pattern}']\n"
    refused(file, body, rf"registries\[0\]\.{key}\[0\]: .*brackets.*any more", line=4)


def test_two_stars_stand_alone_between_slashes(file: Path) -> None:
    body = "registries: [{host: a.b, repositories: ['team-**']}]\n"
    refused(file, body, "stands alone between slashes", line=2)


@pytest.mark.parametrize(
    ("entry", "line", "said"),
    [
        ("userFile: u", 4, "userFile: goes with passwordFile, which is missing"),
        ("passwordFile: p", 4, "passwordFile: goes with userFile, which is missing"),
        ("credentials: c\n  userFile: u\n  passwordFile: p", 5, "userFile: stands beside cred"),
        ("credentials: c\n  helper: /bin/helper", 5, "helper: stands beside credentials"),
        ("userFile: u\n  passwordFile: p\n  helper: /bin/h", 6, "helper: stands beside userFile"),
        ("helper: ecr-login", 4, r"absolute path: docker-credential-ecr-login\?"),
        ("helper: ./helper", 4, "no credential helper"),
        ("helper: docker-credential-", 4, "no credential helper"),
        ("helper: docker-credential-ECR", 4, "no credential helper"),
        ("helper: 'docker-credential-a; rm -r x'", 4, "no credential helper"),
        ("helper: docker-credential-../x", 4, "no credential helper"),
    ],
)
def test_an_entry_has_one_kind_of_credentials_and_all_of_it(
    file: Path, entry: str, line: int, said: str
) -> None:
    refused(file, f"registries:\n- host: a.b\n  {entry}\n", said, line=line)


@pytest.mark.parametrize("helper", ["docker-credential-ecr-login", "/opt/bin/helper"])
def test_a_helper_is_a_name_or_an_absolute_path(file: Path, helper: str) -> None:
    (entry,) = read(file, f"{HEAD}registries: [{{host: a.b, helper: {helper}}}]\n").registries
    assert entry.helper == helper
