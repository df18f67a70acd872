"""Make every secret of compose.yaml once: `python make_secrets.py FOLDER [NAME...]`.

What is there already is kept. Each NAME is one more name or address under which the webhook is
called (host.docker.internal, say); with a new one, or a week before its end, the certificate is
made anew. Files are for the containers' user: whoever runs this, or 65532 when root does;
FOLDER/../.env tells compose which.
"""

import base64
import hashlib
import json
import os
import secrets
import sys
from pathlib import Path
from tempfile import NamedTemporaryFile

from shared.adapters.signatures import ensure_keys
from shared.domain.errors import InvalidSettings
from shared.domain.signing import Role
from shared.runtime.state import ensure_private_folder
from shared.runtime.tls import NAMES, ensure_certificate

IMAGE_USER = 65532
"""Of the Dockerfile."""

HERE = Path(__file__).parent
USERS = ("webhook", "worker", "intake", "console", "operator")
"""In Redis and on the broker; what each may do stands in the templates beside this file."""
RANDOM = ("anchore_password", "console_token", "events_token", "events_hmac", "events_password")


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
    sys.stdout.write("".join(f"made {folder / name}\n" for name in made))
    sys.stdout.write(f"{folder}: complete\n")
    return 0


def make_secrets(folder: Path, *, names: tuple[str, ...] = ()) -> list[str]:
    """Make what is missing in `folder` (mode 0700); the names of the files that are new."""
    before = set(_names(ensure_private_folder(folder)))
    for name in RANDOM:
        _create(folder / name, secrets.token_urlsafe(32))
    for user in USERS:
        _create(folder / f"redis_url_{user}", f"redis://{user}:{_password()}@redis:6379/0")
        _create(folder / f"amqp_url_{user}", f"amqp://{user}:{_password()}@rabbitmq:5672/")
    ensure_certificate(folder, names=("webhook", *NAMES, *names))
    for role in (Role.WORKER, Role.OPERATOR):
        ensure_keys(folder, role=role)
    # These two hold hashes of random passwords only, and containers of other users read them.
    _replace(folder / "redis.acl", _redis_users(folder), mode=0o444)
    _replace(folder / "rabbitmq.json", _broker_definitions(folder), mode=0o444)
    _replace(folder / "registry.yml", _registry(folder), mode=0o400)
    _hand_over(folder)
    return sorted(set(_names(folder)) - before)


def _names(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir() if path.suffix != ".lock"]


def _password() -> str:
    return secrets.token_urlsafe(32)


def _password_of(url: Path) -> str:
    return url.read_text().partition("@")[0].rpartition(":")[2]


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
