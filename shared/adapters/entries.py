"""How decisions and beats are written down: bounded, since texts from outside stand in them.

What cannot be read is left out by its reader: others may write where these stand.
"""

import re
from typing import TypeVar

import msgspec

from shared.ports.decisions import MAX_IMAGES, MAX_TEXT, DecisionRecord
from shared.ports.presence import Beat

MAX_DECISION_BYTES = 8_192
MAX_BEAT_BYTES = 4_096

_SHORTER = (128, 32)
"""Characters of each text, tried in this order: of the last, 25 texts of escapes still fit."""
_TEXTS = ("state", "kind", "namespace", "name", "user", "operation", "reason", "rule", "webhook")
_ID = re.compile(r"([0-9]{1,19})-([0-9]{1,19})")

Entry = TypeVar("Entry", DecisionRecord, Beat)


def bounded(decision: DecisionRecord) -> DecisionRecord:
    """As it is kept: what is too long loses the ends of its texts, and images."""
    kept = _cut(decision, MAX_TEXT)
    for limit in _SHORTER:
        if len(msgspec.json.encode(kept)) <= MAX_DECISION_BYTES:
            break
        kept = _cut(decision, limit)
    return kept


def write_decision(decision: DecisionRecord) -> bytes:
    """At most MAX_DECISION_BYTES."""
    return msgspec.json.encode(bounded(decision))


def write_beat(beat: Beat) -> bytes:
    """Raises ValueError above MAX_BEAT_BYTES: a process chooses all of it itself."""
    written = msgspec.json.encode(beat)
    if len(written) > MAX_BEAT_BYTES:
        raise ValueError(f"a beat of {len(written)} bytes: at most {MAX_BEAT_BYTES} are kept")
    return written


def read_entry(written: bytes, entry: type[Entry]) -> Entry | None:
    """What was written, or None for bytes that are no such entry."""
    try:
        return msgspec.json.decode(written, type=entry)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None


def decision_id(text: str) -> tuple[int, int] | None:
    """Milliseconds and number of `<ms>-<n>`, as Redis names what stands in a stream."""
    found = _ID.fullmatch(text)
    return (int(found[1]), int(found[2])) if found else None


def _cut(decision: DecisionRecord, limit: int) -> DecisionRecord:
    return msgspec.structs.replace(
        decision,
        images=tuple(_text(image, limit) for image in decision.images[:MAX_IMAGES]),
        **{name: _text(getattr(decision, name), limit) for name in _TEXTS},
    )


def _text(text: str, limit: int) -> str:
    """Half a character (a lone surrogate) has no bytes: a question mark stands for it."""
    return text[:limit].encode(errors="replace").decode()
