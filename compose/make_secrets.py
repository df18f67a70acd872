"""Make every secret of compose.yaml once: `python make_secrets.py FOLDER [NAME...]`.

What is there already is kept. Each NAME is one more name or address under which the webhook is
called (host.docker.internal, say); with a new one, or a week before its end, the certificate is
made anew, for the names of the one before too. Files are for the containers' user: whoever runs
this, or 65532 when root does; FOLDER/../.env tells compose which.
"""

import base64
import hashlib
import json
import os
import re
import secrets
import sys
from contextlib import suppress
from ipaddress import ip_address
from pathlib import Path
from tempfile import NamedTemporaryFile

from shared.adapters.signatures import ensure_keys
from shared.domain.errors import InvalidSettings
from shared.domain.signing import Role
from shared.runtime.state import ensure_private_folder
from shared.runtime.tls import NAMES, ensure_certificate, names_in

IMAGE_USER = 65532
"""Of the Dockerfile."""

HERE = Path(__file__).parent
USERS = ("webhook", "worker", "intake", "console", "operator")
"""In Redis and on the broker; what each may do stands in the templates beside this file."""
LOGIN = re.compile(r"\s*[a-z]+://[^:@/]*:([^@\s]+)@\S")
SERVERS = {"redis": "redis:6379/0", "amqp": "rabbitmq:5672/"}
RANDOM = ("anchore_password", "console_token", "events_token", "events_hmac", "events_password")
CERTIFICATE = ("webhook.crt", "webhook.key")
LABEL = "[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?"
HOST = re.compile(rf"(?!.{{254}})([*][.])?({LABEL}[.])*(?![0-9]+$){LABEL}")
"""What a client finds in a certificate; digits behind the last dot make a (broken) address."""


def main(arguments: list[str]) -> int:
    """The exit code."""
    if not arguments:
        sys.stderr.write("usage: make_secrets.py FOLDER [NAME...]\n")
        return 2
    folder = Path(arguments[0])
    try:
        made = make_secrets(folder, names=tuple(arguments[1:]))
    except (InvalidSettings, OSError) as error:
        sys.stderr.write(f"make_secrets.py: {error}\n")
        return 2
    sys.stdout.write("".join(f"made {folder / name}{_told_of(folder / name)}\n" for name in made))
    sys.stdout.write(f"{folder}: complete\n")
    return 0


def make_secrets(folder: Path, *, names: tuple[str, ...] = ()) -> list[str]:
    """Make what is missing in `folder` (mode 0700); the names of the files that are new.

    Raises InvalidSettings for what is no name, and for a file that is there and holds no secret.
    """
    called = [_checked(name) for name in names]
    before = set(_names(ensure_private_folder(folder)))
    _refuse_empty(folder)
    for name in RANDOM:
        _create(folder / name, secrets.token_urlsafe(32))
    for user in USERS:
        for kind in SERVERS:
            _create(folder / f"{kind}_url_{user}", _url(kind, user, secrets.token_urlsafe(32)))
    shown = _content(folder / "webhook.crt")
    ensure_certificate(folder, names=("webhook", *NAMES, *called))
    if _content(folder / "webhook.crt") != shown:
        before.difference_update(CERTIFICATE)
    for role in (Role.WORKER, Role.OPERATOR):
        ensure_keys(folder, role=role)
    # These two hold hashes of random passwords only, and containers of other users read them.
    _replace(folder / "redis.acl", _redis_users(folder), mode=0o444)
    _replace(folder / "rabbitmq.json", _broker_definitions(folder), mode=0o444)
    _replace(folder / "registry.yml", _registry(folder), mode=0o400)
    _hand_over(folder)
    return sorted(set(_names(folder)) - before)


def _checked(name: str) -> str:
    """A name of a certificate as certificates have it; raises InvalidSettings."""
    # The zone of a link-local address is each machine's own.
    if "%" not in name:
        with suppress(ValueError):
            return str(ip_address(name))
    if not HOST.fullmatch(name.lower()):
        raise InvalidSettings(
            f"{name!r} is no name for the certificate: give a host name or an address, without "
            "https:// and port"
        )
    return name.lower()


def _refuse_empty(folder: Path) -> None:
    """A server that takes an empty password takes everybody."""
    urls = [f"{kind}_url_{user}" for kind in SERVERS for user in USERS]
    there = [folder / name for name in sorted((*RANDOM, *urls)) if (folder / name).exists()]
    empty = [str(path) for path in there if not path.read_bytes().strip()]
    if empty:
        raise InvalidSettings(
            f"{', '.join(empty)}: an empty file is no secret; remove it, and one is made, or "
            "write yours into it"
        )


def _told_of(path: Path) -> str:
    return f" for {', '.join(sorted(names_in(path)))}" if path.name == "webhook.crt" else ""


def _content(path: Path) -> bytes:
    return path.read_bytes() if path.exists() else b""


def _names(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir() if path.suffix != ".lock"]


def _url(kind: str, user: str, password: str) -> str:
    return f"{kind}://{user}:{password}@{SERVERS[kind]}"


def _password_of(url: Path) -> str:
    found = LOGIN.match(url.read_text())
    if found is None:
        kind, _, user = url.name.partition("_url_")
        made = _url(kind, user, "PASSWORD")
        raise InvalidSettings(
            f"{url} holds no URL with a password ({made}): remove it, and one is made, or write "
            "yours into it"
        )
    return found[1]


def _redis_users(folder: Path) -> str:
    text = _template("redis/users.acl")
    for user in USERS:
        password = _password_of(folder / f"redis_url_{user}")
        text = text.replace(f"%{user}%", f"#{hashlib.sha256(password.encode()).hexdigest()}")
    return text


def _registry(folder: Path) -> str:
    token = (folder / "events_token").read_text().split()[0]
    return _template("demo/registry.yml").replace("%events_token%", token)


def _template(name: str) -> str:
    """A file beside this one, without its comments: they are about the template."""
    lines = (HERE / name).read_text().splitlines()
    return "".join(f"{line}\n" for line in lines if line and not line.lstrip().startswith("#"))


def _broker_definitions(folder: Path) -> str:
    rights = json.loads((HERE / "rabbitmq" / "rights.json").read_text())
    definitions = {
        "vhosts": [{"name": "/"}],
        "users": [_broker_user(user, _password_of(folder / f"amqp_url_{user}")) for user in USERS],
        "permissions": [{"user": user, "vhost": "/", **rights[user]} for user in USERS],
    }
    return json.dumps(definitions, indent=2) + "\n"


def _broker_user(name: str, password: str) -> dict[str, object]:
    """The operator may look at the broker's own page."""
    # Random passwords need no salt; a steady one keeps the file as it is.
    salt = b"salt"
    hashed = base64.b64encode(salt + hashlib.sha256(salt + password.encode()).digest()).decode()
    return {
        "name": name,
        "password_hash": hashed,
        "hashing_algorithm": "rabbit_password_hashing_sha256",
        "tags": ["monitoring"] if name == "operator" else [],
    }


def _create(path: Path, text: str) -> None:
    """A whole file (mode 0600) where there is none; one that is there is never touched."""
    if path.exists():
        return
    with NamedTemporaryFile(dir=path.parent, prefix=f".{path.name}.") as file:
        file.write(f"{text}\n".encode())
        file.flush()
        os.fsync(file.fileno())
        path.hardlink_to(file.name)


def _replace(path: Path, text: str, *, mode: int) -> None:
    with NamedTemporaryFile(dir=path.parent, prefix=f".{path.name}.", delete=False) as file:
        file.write(text.encode())
    Path(file.name).chmod(mode)
    Path(file.name).replace(path)


def _hand_over(folder: Path) -> None:
    """Give the files to the containers' user, and tell compose who that is."""
    user, group = os.getuid(), os.getgid()
    if user == 0:
        user = group = IMAGE_USER
        for path in folder.iterdir():
            os.chown(path, user, group)
    told = folder.parent / ".env"
    text = told.read_text() if told.exists() else ""
    if "IMAGEGATE_USER=" not in text:
        told.write_text(f"{text}IMAGEGATE_USER={user}:{group}\n")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
