"""Requests of Engine's v1 API, read and bounded; what does not fit is Malformed or a Refusal."""

import base64
import binascii
import re
from typing import Annotated, Any, TypeVar

import msgspec

from services.scanner.catalogue import Submission
from services.scanner.records import AnalysisStatus
from services.scanner.v1.refusals import Malformed, Refusal

T = TypeVar("T")

MAX_DOCKERFILE = 1024**2
MAX_PAGE = 1_000
MAX_NAMED = 100

_BASE64 = re.compile(r"[a-zA-Z0-9+/=]+")


class _NewImage(msgspec.Struct):
    tag: str = ""
    digest: str | None = None
    dockerfile: str | None = None
    annotations: Annotated[dict[str, str], msgspec.Meta(max_length=100)] = {}
    source: Any = None


def read_submission(body: bytes, *, force: bool) -> Submission:
    """The body of POST /v1/images."""
    asked = decode(body, _NewImage)
    if asked.source is not None:
        raise Refusal(400, '"source" is not supported: send "tag", or "tag" and "digest"')
    if not asked.tag:
        raise Refusal(400, 'Must include either "tag", or "tag" and "digest" in body')
    return Submission(
        fulltag=asked.tag,
        digest=asked.digest,
        dockerfile=_dockerfile(asked.dockerfile),
        annotations=asked.annotations,
        force=force,
    )


def analysis_status(text: str | None) -> AnalysisStatus | None:
    """The filter of a list."""
    if text is None:
        return None
    if text not in set(AnalysisStatus):
        raise Malformed(f"'{text}' is not one of {[str(one) for one in AnalysisStatus]}")
    return AnalysisStatus(text)


def digests(text: str | None) -> list[str]:
    """The images that a query names, separated by commas."""
    named = [one for one in (text or "").split(",") if one]
    if not 1 <= len(named) <= MAX_NAMED:
        raise Malformed(f"'imageDigests' must name 1 to {MAX_NAMED} images")
    return named


def basic_credentials(header: str) -> bytes | None:
    """`user:password` of an Authorization header; None where there is none."""
    scheme, _, given = header.partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        return base64.b64decode(given.strip(), validate=True)
    except (binascii.Error, ValueError):
        return None


def decode(body: bytes, kind: type[T]) -> T:
    """Raises Malformed."""
    try:
        return msgspec.json.decode(body, type=kind)
    except msgspec.ValidationError as error:
        raise Malformed(str(error)) from error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Malformed("Request body is not valid JSON") from error


def _dockerfile(text: str | None) -> bytes | None:
    if text is None:
        return None
    try:
        if not _BASE64.fullmatch(text):
            raise ValueError
        dockerfile = base64.b64decode(text, validate=True)
    except ValueError as error:
        raise Malformed("'dockerfile' is not base64") from error
    if len(dockerfile) > MAX_DOCKERFILE:
        raise Malformed(f"'dockerfile' is over {MAX_DOCKERFILE} bytes")
    return dockerfile


def flag(text: str | None, *, default: bool) -> bool:
    """A query's true or false."""
    return default if text is None else text.lower() in ("true", "1", "yes")


def number(text: str | None, default: int) -> int:
    """A query's page or limit. Raises Malformed."""
    if text is None:
        return default
    if not re.fullmatch(r"[0-9]{1,6}", text) or not 1 <= int(text) <= MAX_PAGE:
        raise Malformed(f"page and limit must be numbers from 1 to {MAX_PAGE}")
    return int(text)
