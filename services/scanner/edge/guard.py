"""Around every request: who may ask, how many at once, and what becomes of what goes wrong."""

import hmac
import logging
from collections.abc import Callable

from aiohttp import web

from services.scanner.edge.answers import Handler, as_json
from services.scanner.records import ACCOUNT
from services.scanner.store.database import StoreFailed
from services.scanner.v1.refusals import Malformed, Refusal
from services.scanner.v1.requests import basic_credentials

log = logging.getLogger(__name__)

AT_ONCE = 256
"""Requests under way. Workers ask some tens at a time; strangers must not fill the memory."""

RETRY_AFTER = "5"


class Guard:
    """The one middleware."""

    def __init__(
        self, *, user: str, passwords: Callable[[], tuple[str, ...]], at_once: int = AT_ONCE
    ) -> None:
        """`passwords` is asked at each request: all of them count, so that they can be changed."""
        self._user = user
        self._passwords = passwords
        self._at_once = at_once
        self._under_way = 0

    @web.middleware
    async def middleware(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Answer, whatever happens."""
        if self._under_way >= self._at_once:
            return _answer(Refusal(503, "too many requests are under way: ask again"))
        self._under_way += 1
        try:
            if request.path.startswith("/v1/") and not self._authorised(request):
                return _unauthorised()
            if request.headers.get("x-anchore-account", ACCOUNT) != ACCOUNT:
                raise Refusal(403, f"Not authorized. The only account is {ACCOUNT}")
            return await handler(request)
        except (Refusal, Malformed) as error:
            return _answer(error)
        except web.HTTPException as error:
            return _answer(Malformed(error.reason, status=error.status))
        except StoreFailed as error:
            log.error("%s", error)
            return _answer(Refusal(503, str(error)))
        except Exception:
            log.exception("request failed", extra={"path": request.path})
            return _answer(Refusal(500, "internal error: the scanner's log says more"))
        finally:
            self._under_way -= 1

    def _authorised(self, request: web.Request) -> bool:
        if not self._user:
            return True
        given = basic_credentials(request.headers.get("Authorization", ""))
        if given is None:
            return False
        logins = [f"{self._user}:{password}".encode() for password in self._passwords()]
        # All of them, whichever fits: how long a refusal takes tells nothing.
        fits = [hmac.compare_digest(given, login) for login in logins]
        return any(fits)


def _unauthorised() -> web.Response:
    return web.Response(
        status=401,
        text="Unauthorized",
        content_type="text/html",
        headers={"WWW-Authenticate": 'basic realm="Authentication required"'},
    )


def _answer(error: Refusal | Malformed) -> web.Response:
    answer = as_json(error.body, status=error.status, shape=type(error))
    if error.status == 503:
        answer.headers["Retry-After"] = RETRY_AFTER
    if error.status in (408, 413):
        # What is left of the body is not worth reading: it may come without end.
        answer.force_close()
    return answer
