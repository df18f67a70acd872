"""The show's registry tells the intake of a push, as CNCF Distribution's notifications do.

The envelope is that of docs/design/push-events.md; it goes over real HTTP with the real secret.
"""

import asyncio
import uuid
from datetime import UTC, datetime
from typing import Any

import aiohttp
import msgspec

from services.cli.show.images import MANIFEST, ShowImage
from shared.domain.errors import ImagegateError

TIMEOUT = 5.0
MEDIA_TYPE = "application/vnd.docker.distribution.events.v2+json"


class EventRefused(ImagegateError):
    """The intake did not take the event."""


class RegistryNotifier:
    """Sends one push event at a time to an intake."""

    def __init__(
        self, *, url: str, token: str, registry: str, session: aiohttp.ClientSession
    ) -> None:
        """`url` is the intake's, `registry` the `host:port` of the registry that was pushed to."""
        self._url = f"{url}/events/distribution"
        self._token = token
        self._registry = registry
        self._session = session

    async def pushed(self, image: ShowImage, digest: str) -> None:
        """Say that `image` was pushed; raises EventRefused."""
        headers = {"Authorization": f"Bearer {self._token}", "Content-Type": MEDIA_TYPE}
        body = msgspec.json.encode(envelope(image, digest, registry=self._registry))
        try:
            async with (
                asyncio.timeout(TIMEOUT),
                self._session.post(self._url, data=body, headers=headers) as response,
            ):
                if response.status != 202:
                    said = (await response.text())[:300]
                    raise EventRefused(f"{self._url} answered {response.status}: {said}")
        except (aiohttp.ClientError, TimeoutError) as error:
            raise EventRefused(f"{self._url} does not answer: {error!r}") from error


def envelope(image: ShowImage, digest: str, *, registry: str) -> dict[str, Any]:
    """A notification of one pushed manifest."""
    url = f"http://{registry}/v2/{image.repository}/manifests/{digest}"
    event = {
        "id": str(uuid.uuid4()),
        "timestamp": datetime.now(UTC).isoformat(),
        "action": "push",
        "target": {
            "mediaType": MANIFEST,
            "digest": digest,
            "repository": image.repository,
            "tag": image.tag,
            "url": url,
        },
        "request": {"host": registry, "method": "PUT", "useragent": "imagegate-show"},
        "actor": {},
        "source": {"addr": registry},
    }
    return {"events": [event]}
