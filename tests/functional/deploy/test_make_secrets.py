"""compose/secrets.sh: every secret once, for the user that the containers run as."""

import base64
import hashlib
import json
import os
import shutil
import stat
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from services.cli.local.wiring import make_keys
from shared.adapters.signatures import load_ring, load_sealer
from shared.domain.signing import Role
from shared.runtime.tls import NAMES, days_left, ensure_certificate, names_in
from tests.deploy.composed import FOLDER, read_compose
from tests.deploy.secrets import make_compose_secrets

SHOWN = {"redis.acl", "rabbitmq.json", "worker.pub", "operator.pub"}
"""Everybody may read these: hashes of random passwords, and public keys."""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A copy of compose/ as it is checked out."""
    ignore = shutil.ignore_patterns("secrets", ".env", "__pycache__")
    return Path(shutil.copytree(FOLDER, tmp_path / "compose", ignore=ignore))


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in (folder / "secrets").iterdir()}


def test_it_makes_what_compose_mounts(folder: Path) -> None:
    make_compose_secrets(folder)
    for secret in read_compose()["secrets"].values():
        assert (folder / secret["file"]).stat().st_size > 0


def test_run_again_it_changes_nothing(folder: Path) -> None:
    make_compose_secrets(folder)
    before, env = contents(folder), (folder / ".env").read_text()
    ran = make_compose_secrets(folder)
    assert contents(folder) == before
    assert (folder / ".env").read_text() == env
    assert ran.stdout == "secrets: complete\n"


def test_a_secret_of_your_own_is_kept(folder: Path) -> None:
    (folder / "secrets").mkdir()
    (folder / "secrets" / "anchore_password").write_text("of the old Anchore\n")
    ran = make_compose_secrets(folder)
    assert (folder / "secrets" / "anchore_password").read_text() == "of the old Anchore\n"
    assert "anchore_password" not in ran.stdout


def test_what_is_in_the_env_file_already_is_kept(folder: Path) -> None:
    (folder / ".env").write_text("IMAGEGATE_BIND=192.0.2.1\n")
    make_compose_secrets(folder)
    lines = (folder / ".env").read_text().splitlines()
    assert lines[0] == "IMAGEGATE_BIND=192.0.2.1"
    assert lines[1].startswith("IMAGEGATE_USER=")


def test_a_user_named_in_the_env_file_is_not_named_again(folder: Path) -> None:
    (folder / ".env").write_text("IMAGEGATE_USER=1000:1000\n")
    make_compose_secrets(folder)
    assert (folder / ".env").read_text() == "IMAGEGATE_USER=1000:1000\n"


def test_the_files_are_for_the_containers_user_alone(folder: Path) -> None:
    make_compose_secrets(folder)
    user = (folder / ".env").read_text().strip().removeprefix("IMAGEGATE_USER=")
    assert user == (f"{os.getuid()}:{os.getgid()}" if os.getuid() else "65532:65532")
    assert stat.S_IMODE((folder / "secrets").stat().st_mode) == 0o700
    for path in (folder / "secrets").iterdir():
        found = path.stat()
        assert f"{found.st_uid}:{found.st_gid}" == user, path
        assert bool(found.st_mode & 0o077) is (path.name in SHOWN), path


def test_no_two_secrets_are_alike_and_none_is_short(folder: Path) -> None:
    make_compose_secrets(folder)
    made = contents(folder)
    random = ("anchore_password", "console_token", "events_token", "events_password")
    words = [made[name] for name in random]
    urls = [text for name, text in made.items() if "_url_" in name]
    words += [url.partition(b"@")[0].rpartition(b":")[2] for url in urls]
    assert len(set(words)) == len(words) == 14
    assert min(map(len, words)) >= 43


def test_the_servers_get_hashes_of_the_passwords_and_not_these(folder: Path) -> None:
    make_compose_secrets(folder)
    made = contents(folder)
    password = made["redis_url_worker"].partition(b"@")[0].rpartition(b":")[2]
    rights = made["redis.acl"].decode()
    assert f"user worker reset on #{hashlib.sha256(password).hexdigest()} " in rights
    assert "%" not in rights.replace("%R~", "")
    assert "\n#" not in rights
    for user in json.loads(made["rabbitmq.json"])["users"]:
        hashed = base64.b64decode(user["password_hash"])
        password = made[f"amqp_url_{user['name']}"].partition(b"@")[0].rpartition(b":")[2]
        assert hashed[4:] == hashlib.sha256(hashed[:4] + password).digest()


def test_the_keys_are_what_a_worker_signs_with_and_others_believe(folder: Path) -> None:
    make_compose_secrets(folder)
    sealer = load_sealer(folder / "secrets")
    assert load_ring(folder / "secrets").trusts(sealer.key_id, Role.WORKER)


def test_keys_of_your_own_are_kept(folder: Path) -> None:
    mine = make_keys(folder / "secrets", role=Role.WORKER)
    make_compose_secrets(folder)
    assert load_sealer(folder / "secrets").key_id == mine.key_id


USUAL = {"webhook", "localhost", "127.0.0.1", "::1"}


def test_the_certificate_has_the_name_in_compose_and_those_that_are_asked_for(folder: Path) -> None:
    ran = make_compose_secrets(folder)
    certificate = folder / "secrets" / "webhook.crt"
    assert names_in(certificate) == USUAL
    assert "made secrets/webhook.crt for 127.0.0.1, ::1, localhost, webhook\n" in ran.stdout
    make_compose_secrets(folder, "Host.Docker.Internal", "192.0.2.1", "2001:DB8:0::1")
    asked = USUAL | {"host.docker.internal", "192.0.2.1", "2001:db8::1"}
    assert names_in(certificate) == asked
    ran = make_compose_secrets(folder, "*.gate_way.example.com")
    assert names_in(certificate) == asked | {"*.gate_way.example.com"}
    assert "*.gate_way.example.com, 127.0.0.1, 192.0.2.1" in ran.stdout


def test_a_renewed_certificate_has_the_names_of_the_one_before(folder: Path) -> None:
    names = ("webhook", *NAMES, "gate.example.com")
    nearly_over = datetime.now(UTC) - timedelta(days=362)
    ensure_certificate(folder / "secrets", names=names, now=nearly_over)
    ran = make_compose_secrets(folder)
    certificate = folder / "secrets" / "webhook.crt"
    assert days_left(certificate) > 300
    assert names_in(certificate) == set(names)
    told = "made secrets/webhook.crt for 127.0.0.1, ::1, gate.example.com, localhost, webhook\n"
    assert told in ran.stdout


@pytest.mark.parametrize(
    "name",
    [
        "foo bar",
        "https://gate.example.com",
        "gate.example.com:8443",
        "[::1]",
        "fe80::1%eth0",
        "10.0.0.300",
        "gate..example.com",
        "--help",
        "",
    ],
)
def test_what_is_no_name_is_refused_before_anything_is_made(folder: Path, name: str) -> None:
    line = refused(folder, "gate.example.com", name)
    assert line == (
        f"make_secrets.py: {name!r} is no name for the certificate: give a host name or an "
        "address, without https:// and port"
    )
    assert not (folder / "secrets").exists()


def test_an_empty_file_is_no_secret(folder: Path) -> None:
    (folder / "secrets").mkdir()
    (folder / "secrets" / "redis_url_worker").write_text("")
    (folder / "secrets" / "events_token").write_text(" \n")
    line = refused(folder)
    assert line == (
        "make_secrets.py: secrets/events_token, secrets/redis_url_worker: an empty file is no "
        "secret; remove it, and one is made, or write yours into it"
    )
    assert len(contents(folder)) == 2


@pytest.mark.parametrize(
    "url",
    ["redis://redis:6379/0", "redis://worker:@redis:6379/0", "redis://worker@redis:6379/0"],
)
def test_a_url_without_a_password_makes_no_user(folder: Path, url: str) -> None:
    make_compose_secrets(folder)
    (folder / "secrets" / "redis_url_worker").write_text(url)
    line = refused(folder)
    assert line == (
        "make_secrets.py: secrets/redis_url_worker holds no URL with a password "
        "(redis://worker:PASSWORD@redis:6379/0): remove it, and one is made, or write yours "
        "into it"
    )


def refused(folder: Path, *names: str) -> str:
    """The one line that it says."""
    with pytest.raises(subprocess.CalledProcessError) as failed:
        make_compose_secrets(folder, *names)
    assert failed.value.returncode == 2
    (line,) = failed.value.stderr.splitlines()
    return str(line)


def test_where_it_cannot_write_it_says_so_in_a_line(folder: Path) -> None:
    (folder / "secrets").write_text("in the way")
    line = refused(folder)
    assert line.startswith("make_secrets.py: cannot make the folder secrets: File exists")
