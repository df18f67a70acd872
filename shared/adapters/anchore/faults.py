"""What an answer of Anchore's that is no good one is, in one word: for metrics and for what we do.

Its status codes do not tell enough (docs/design/anchore-engine.md 2, 3, 5 and
docs/design/anchore-v2.md 1): trouble with a registry is always 400 and told apart by error codes,
every reason not to evaluate is 404 and told apart by its text.
"""

from collections.abc import Callable
from enum import StrEnum

from shared.adapters.anchore.answers import Answer, Complaint, complaint_of


class Fault(StrEnum):
    """What went wrong with a call; of an answer that came, what it stands for."""

    TIMEOUT = "timeout"
    UNREACHABLE = "unreachable"
    CLOSED = "closed"
    """The connection ended before the answer did."""
    CERTIFICATE = "certificate"
    PROXY = "proxy"
    """ANCHORE_PROXY does not let us through."""
    NO_TOKEN = "no_token"
    """Anchore gives none for our user and password."""
    HTML = "html"
    NOT_JSON = "not_json"
    TOO_LONG = "too_long"
    PACKED = "packed"
    REDIRECT = "redirect"
    OVERLOADED = "overloaded"
    """429."""
    AWAY = "away"
    """502, 503, 504: what is in front of Anchore does not reach it."""
    SERVER_ERROR = "server_error"
    """500 in Anchore's own words."""
    CRASHED = "crashed"
    """500, said by the framework below it."""
    CREDENTIALS = "credentials"
    RIGHTS = "rights"
    ACCOUNT_UNKNOWN = "account_unknown"
    WRONG_API = "wrong_api"
    """The path is not of the API that the server speaks."""
    NO_API = "no_api"
    """404, and not Anchore who says so."""
    IMAGE_UNKNOWN = "image_unknown"
    NOT_ANALYSED = "not_analysed"
    POLICY_UNKNOWN = "policy_unknown"
    NO_ACTIVE_POLICY = "no_active_policy"
    NOT_EVALUATED = "not_evaluated"
    """The policy engine is down, or failed."""
    INVALID = "invalid"
    """Our request, as its validation says."""
    REGISTRY_HAS_NONE = "registry_has_none"
    REGISTRY_DENIED = "registry_denied"
    REGISTRY_AWAY = "registry_away"
    PLATFORM = "platform"
    LOGIN_REFUSED = "login_refused"
    """406: a registry does not take what Anchore was to log in with."""
    CONFLICT = "conflict"
    REFUSED = "refused"
    UNREADABLE = "unreadable"
    """JSON, and not of its API."""
    OTHER_IMAGE = "other_image"
    OTHER_ACCOUNT = "other_account"
    UNKNOWN_STATE = "unknown_state"
    NOT_BELIEVED = "not_believed"
    """An evaluation that contradicts itself, or lacks something."""
    PROBLEMS = "problems"
    OTHER_TAG = "other_tag"
    OTHER_POLICY = "other_policy"
    NO_MAPPING = "no_mapping"


OnFault = Callable[[str, str], None]
"""Told of each answer that is no good one, and of each that did not come: operation and fault."""

REGISTRY = {
    "REGISTRY_IMAGE_NOT_FOUND": Fault.REGISTRY_HAS_NONE,
    "REGISTRY_PERMISSION_DENIED": Fault.REGISTRY_DENIED,
    "OSARCH_MISMATCH": Fault.PLATFORM,
}
"""Of any other code (REGISTRY_NOT_ACCESSIBLE, REGISTRY_NOT_SUPPORTED, SKOPEO_UNKNOWN_ERROR,
UNKNOWN) a host that is down or not resolved looks the same as one that does not exist."""

_STATUSES = {
    401: Fault.CREDENTIALS,
    403: Fault.RIGHTS,
    406: Fault.LOGIN_REFUSED,
    409: Fault.CONFLICT,
    429: Fault.OVERLOADED,
    407: Fault.PROXY,
    408: Fault.AWAY,
    502: Fault.AWAY,
    503: Fault.AWAY,
    504: Fault.AWAY,
}

_NOT_FOUND: tuple[tuple[tuple[str, ...], Fault], ...] = (
    (("account not found",), Fault.ACCOUNT_UNKNOWN),
    (("no active policy",), Fault.NO_ACTIVE_POLICY),
    (("policy", "not found"), Fault.POLICY_UNKNOWN),
    (("not analyzed",), Fault.NOT_ANALYSED),
    (("evaluations",), Fault.NOT_EVALUATED),
    (("image", "not found"), Fault.IMAGE_UNKNOWN),
)
"""Words of a 404, all of them, and what it stands for: the first that fits. Engine's were observed;
of v2 only the account's was read, the others are taken over."""


def fault_of(answer: Answer, complaint: Complaint | None = None) -> Fault:
    """What `answer`, which is not what was asked for, stands for."""
    said = complaint or complaint_of(answer)
    if answer.status in _STATUSES:
        return _STATUSES[answer.status]
    if answer.status >= 500:
        return Fault.CRASHED if said.by_router else Fault.SERVER_ERROR
    if 300 <= answer.status < 400:
        return Fault.REDIRECT
    if answer.status < 300:
        return Fault.UNREADABLE
    if answer.status == 404:
        return _not_found(said)
    if answer.status == 400 and said.codes:
        return REGISTRY.get(said.codes[0], Fault.REGISTRY_AWAY)
    return Fault.INVALID if answer.status == 400 else Fault.REFUSED


def _not_found(said: Complaint) -> Fault:
    if said.by_router:
        return Fault.WRONG_API
    if not said.by_anchore:
        return Fault.NO_API
    words = said.message.lower()
    for wanted, fault in _NOT_FOUND:
        if all(word in words for word in wanted):
            return fault
    return Fault.NOT_EVALUATED
