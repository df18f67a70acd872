"""One answer of Anchore's, and what its errors say.

Errors have four shapes (docs/design/anchore-engine.md 2, docs/design/anchore-v2.md 1):
Anchore's own (`httpcode`, `message`, `detail` an object; v2 adds `anchore_request_id`), the one
that v2's description promises (`code`, `error_type`, `message`; only read, and by no client seen),
that of request validation and routing (`status`, `title`, `detail` a text or null), and plain text
for 401. A proxy in front adds HTML of its own.
"""

import email.utils
import time
from typing import Any

import msgspec

from shared.adapters.anchore.wording import MAX_RAW, one_line, skopeo_reason

MAX_VALIDATION = 5
MAX_RETRY_AFTER = 3600.0


class Answer(msgspec.Struct, frozen=True):
    """A status, with the body decoded from JSON."""

    status: int
    body: Any
    """None where the body is not JSON."""
    text: str = ""
    """The start of a body that is not JSON."""
    size: int = 0

    def __repr__(self) -> str:
        """Without its body: a token may be in it."""
        return f"Answer({self.status}, {self.size} bytes)"


class Complaint(msgspec.Struct, frozen=True):
    """What an error answer says."""

    message: str
    codes: tuple[str, ...] = ()
    reason: str = ""
    """What the registry said to Anchore; untrusted."""
    by_anchore: bool = False
    """Whether Anchore itself said so, and not a proxy or the router in front of it."""
    by_router: bool = False
    """Whether its router or request validation said so: of a path that it does not have, too."""
    request_id: str = ""
    """By which Anchore's own log names the request; v2 alone tells it. Untrusted."""

    def __str__(self) -> str:
        return f"{self.message}: {self.reason}" if self.reason else self.message


def answer_of(status: int, raw: bytes) -> Answer:
    """A status and its body, decoded if it can be."""
    try:
        return Answer(status=status, body=msgspec.json.decode(raw), size=len(raw))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        text = raw[:MAX_RAW].decode("utf-8", "replace").strip() or "nothing"
        return Answer(status=status, body=None, text=text, size=len(raw))


def retry_after_of(value: str) -> float | None:
    """Seconds, from either form of the header; None where it says nothing we can use."""
    value = value.strip()
    if value.isascii() and value.isdigit():
        return min(float(value[:8]), MAX_RETRY_AFTER)
    try:
        at = email.utils.parsedate_to_datetime(value).timestamp()
    except (ValueError, TypeError, OverflowError):
        return None
    return min(max(at - time.time(), 0.0), MAX_RETRY_AFTER)


def complaint_of(answer: Answer) -> Complaint:
    """The error in `answer`, whatever its shape; every text still as it was sent."""
    body = answer.body
    if not isinstance(body, dict):
        return Complaint(message=answer.text or "no reason given")
    detail = body.get("detail")
    if "httpcode" in body or ("error_type" in body and "code" in body):
        return _own_words(body, detail if isinstance(detail, dict) else {})
    # The last two are OAuth's own.
    said = (detail, body.get("title"), body.get("error_description"), body.get("error"))
    return Complaint(
        message=next(filter(None, map(_text, said)), "no reason given"),
        by_router="title" in body and body.get("status") == answer.status,
    )


def _own_words(body: dict[str, Any], detail: dict[str, Any]) -> Complaint:
    raw = detail.get("raw_exception_message")
    return Complaint(
        message=(_text(body.get("message")) or "no reason given") + _validation(detail),
        codes=tuple(code for code in _list(detail.get("error_codes")) if isinstance(code, str)),
        reason=skopeo_reason(raw) if isinstance(raw, str) else "",
        by_anchore=True,
        request_id=_text(body.get("anchore_request_id")),
    )


def _validation(detail: dict[str, Any]) -> str:
    """Why a bundle was not accepted, or a request not valid."""
    said = [
        f"{_text(problem.get('problem_type'))}: {_text(problem.get('details'))}"
        for problem in _list(detail.get("validation_details"))
        if isinstance(problem, dict)
    ]
    if isinstance(detail.get("validation_error"), str):
        said.append(detail["validation_error"])
    return "".join(f"; {one_line(text)}" for text in said[:MAX_VALIDATION])


def _list(value: object) -> list[Any]:
    return value if isinstance(value, list) else []


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""
