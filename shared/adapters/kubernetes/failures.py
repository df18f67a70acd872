"""What the Kubernetes API's answer, or its silence, means in the words of the port."""

import os
import re
from collections.abc import Sequence

import aiohttp
import msgspec

from shared.adapters.kubernetes.access import BY_SETTINGS, Remedies
from shared.domain.errors import ClusterMisconfigured, ClusterRefused, ClusterUnreachable

MAX_SAID = 300

_BY_ADMISSION = re.compile("denied (the )?request")
"""What an admission webhook (mostly with 400 or 403) and a ValidatingAdmissionPolicy (422) say."""
_ENDING = "NamespaceTerminating"
_LET_US_PASS = "if an admission policy of the cluster refuses it, have that let us pass"


class NotThere(ClusterUnreachable):
    """404: there is no such thing."""


class Ending(NotThere):
    """403: the namespace that it would be in is being deleted."""


class Conflict(ClusterUnreachable):
    """409: it is there already, or is another one than was meant."""


class Expired(ClusterUnreachable):
    """410: the API server does not keep that far back what has changed."""


class TooLarge(ClusterUnreachable):
    """An answer over our bounds."""


class Unprocessable(ClusterRefused):
    """422: what was sent cannot be, or a policy of the cluster does not want it."""

    def __init__(self, message: str, *, fields: Sequence[str]) -> None:
        """`fields`: what is wrong with it, as `metadata.uid`; a policy names none."""
        super().__init__(message)
        self.fields = tuple(fields)


class Cause(msgspec.Struct):
    """One of the fields that are wrong, or why else it is refused."""

    field: str = ""
    reason: str = ""


class Details(msgspec.Struct):
    """What more is said of it."""

    causes: list[Cause] = msgspec.field(default_factory=list)


class Status(msgspec.Struct):
    """How the API server says what went wrong; also inside of a watch."""

    code: int = 0
    message: str = ""
    details: Details | None = None


def failure_of_body(
    host: str,
    doing: str,
    code: int,
    body: bytes,
    *,
    advice: str,
    remedies: Remedies = BY_SETTINGS,
) -> ClusterUnreachable:
    """An answer that is none of success, with the beginning of its body."""
    try:
        said = msgspec.json.decode(body, type=Status)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        said = Status()
    said.code = code
    return failure_of_status(host, doing, said, advice=advice, remedies=remedies)


def failure_of_status(
    host: str, doing: str, status: Status, *, advice: str, remedies: Remedies = BY_SETTINGS
) -> ClusterUnreachable:
    """What a Status means; `doing` is what was asked ("list namespaces"), `advice` what to do where
    a right for that is missing."""
    said = f"the Kubernetes API at {host} answered {status.code} to '{doing}'{_quoted(status)}"
    causes = status.details.causes if status.details else []
    match status.code:
        case 403 if any(cause.reason == _ENDING for cause in causes):
            return Ending(said)
        case 400 | 403 if _BY_ADMISSION.search(status.message):
            return ClusterRefused(f"{said}: {_LET_US_PASS}")
        case 401:
            return ClusterMisconfigured(f"{said}: it does not take our token; {remedies.refused}")
        case 403:
            return ClusterRefused(f"{said}: {advice}")
        case 404:
            return NotThere(said)
        case 406:
            return ClusterMisconfigured(
                f"{said}: it does not know PartialObjectMetadata, so that it is none of Kubernetes "
                f"1.30 or newer; look at {remedies.address}"
            )
        case 409:
            return Conflict(said)
        case 410:
            return Expired(said)
        case 422:
            return Unprocessable(
                f"{said}: {_LET_US_PASS}", fields=[cause.field for cause in causes]
            )
        case _:
            return ClusterUnreachable(f"{said}; it is asked again")


def failure_of_error(
    host: str, doing: str, error: Exception, *, remedies: Remedies = BY_SETTINGS
) -> ClusterUnreachable:
    """A call that ended without a whole answer."""
    about = f"the Kubernetes API at {host}, asked to '{doing}',"
    match error:
        case aiohttp.ClientConnectorCertificateError() | aiohttp.ClientConnectorSSLError():
            return ClusterMisconfigured(
                f"{about} is not trusted, or speaks no TLS: {remedies.mistrusted}"
            )
        case TimeoutError():
            return ClusterUnreachable(f"{about} did not answer in time; it is asked again")
        case _:
            return ClusterUnreachable(
                f"{about} gave no whole answer ({_reason(error)}); it is asked again. Check that "
                "it is up, and that it can be reached from here"
            )


def unreadable(host: str, doing: str, what: str) -> ClusterUnreachable:
    """An answer that is none: `what` is wrong with it."""
    return ClusterUnreachable(
        f"the Kubernetes API at {host} answered '{doing}' with {what}; is it one?"
    )


def too_large(host: str, doing: str, limit: int) -> TooLarge:
    """More than `limit` bytes."""
    return TooLarge(
        f"the Kubernetes API at {host} answered '{doing}' with more than {limit} bytes, which is "
        "the most that is taken"
    )


def _quoted(status: Status) -> str:
    plain = "".join(each if each.isprintable() else "?" for each in status.message[:MAX_SAID])
    return f" ({plain})" if plain else ""


def _reason(error: Exception) -> str:
    """The kernel's words where there are any, else the error's kind."""
    if isinstance(error, aiohttp.ClientConnectorDNSError):
        return "its name cannot be looked up"
    number = getattr(error, "errno", None)
    return os.strerror(number).lower() if number else type(error).__name__
