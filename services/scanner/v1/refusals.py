"""Engine's two error shapes as exceptions (docs/design/anchore-engine.md 2)."""

from http import HTTPStatus
from typing import Any

from shared.domain.errors import (
    ErrorKind,
    ImagegateError,
    PermanentFailure,
    StepFailure,
)

_REGISTRY_CODES = {
    ErrorKind.NOT_FOUND: ["REGISTRY_IMAGE_NOT_FOUND"],
    ErrorKind.UNAUTHORISED: ["REGISTRY_PERMISSION_DENIED"],
}


class Refusal(ImagegateError):
    """Shape 1: `{"httpcode", "message", "detail": {"error_codes": [...], ...}}`."""

    def __init__(
        self, status: int, message: str, *, codes: list[str] | None = None, **detail: Any
    ) -> None:
        super().__init__(message)
        self.status = status
        self.detail = {"error_codes": codes or [], **detail}

    @property
    def body(self) -> dict[str, Any]:
        """As it is sent."""
        return {"httpcode": self.status, "message": str(self), "detail": self.detail}


class Malformed(ImagegateError):
    """Shape 2, of requests that do not fit the API: `{"status", "title", "detail", "type"}`."""

    def __init__(self, detail: str, *, status: int = 400) -> None:
        super().__init__(detail)
        self.status = status

    @property
    def body(self) -> dict[str, Any]:
        """As it is sent."""
        title = HTTPStatus(self.status).phrase
        return {"detail": str(self), "status": self.status, "title": title, "type": "about:blank"}


def registry_refusal(error: StepFailure) -> Refusal:
    """What a registry's failure is to the client: always 400, told apart by the error code.

    A registry that our rules or limits refuse has no code of Engine's: the codes are empty,
    which no client takes for a passing trouble.
    """
    if isinstance(error, PermanentFailure):
        codes = _REGISTRY_CODES.get(error.kind, [])
    else:
        codes = ["REGISTRY_NOT_ACCESSIBLE"]
    return Refusal(
        400,
        "cannot fetch image digest/manifest from registry",
        codes=codes,
        raw_exception_message=str(error),
    )
