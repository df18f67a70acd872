"""Policy documents: a file, standard input, or the baseline that comes with imagegate."""

import json
import sys
from importlib.resources import files
from pathlib import Path

import msgspec

from shared.domain.errors import InvalidPolicy
from shared.domain.policy import Bundle
from shared.domain.policy_forms import Form

MAX_DOCUMENT = 4 * 1024 * 1024
STDIN = Path("-")

NEEDS = (
    "from-uses-tag needs the image's own Dockerfile (imagegate scan --dockerfile FILE): without "
    "it Anchore guesses one that begins with FROM scratch, and the rule finds nothing",
    "not-root looks at the last USER line of that Dockerfile, else of the image's history: an "
    "image that was made without either counts as root",
)
"""What the baseline's rules want of whoever makes images (docs/policies.md)."""


def read_document(path: Path) -> Bundle:
    """The JSON object in a file, or in standard input for `-`. Raises InvalidPolicy."""
    name = "standard input" if path == STDIN else str(path)
    try:
        content = _content(path)
    except OSError as error:
        raise InvalidPolicy(f"cannot read the policy {name}: {error.strerror}") from error
    if len(content) > MAX_DOCUMENT:
        raise InvalidPolicy(f"{name} is larger than {MAX_DOCUMENT} bytes")
    try:
        document = msgspec.json.decode(content, type=Bundle)
        # Of a key that stands twice the last would count, and a rule be lost without a word.
        json.loads(content, object_pairs_hook=_each_once)
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise InvalidPolicy(
            f"{name} holds no policy: {error}; it must be one JSON object, as "
            "`imagegate policies baseline` prints one"
        ) from error
    return document


def baseline(form: Form) -> Bundle:
    """The four rules that every installation starts from."""
    return msgspec.json.decode(baseline_text(form), type=Bundle)


def baseline_text(form: Form) -> str:
    """The same as it is printed."""
    return files("services.cli.policies").joinpath(f"baseline-{form}.json").read_text()


def _content(path: Path) -> bytes:
    if path == STDIN:
        return sys.stdin.buffer.read(MAX_DOCUMENT + 1)
    with path.open("rb") as stream:
        return stream.read(MAX_DOCUMENT + 1)


def _each_once(pairs: list[tuple[str, object]]) -> None:
    """Raises ValueError for a key that stands twice in one object."""
    taken: set[str] = set()
    for key, _ in pairs:
        if key in taken:
            raise ValueError(f"the key {key!r} stands twice in one object: keep one")
        taken.add(key)
