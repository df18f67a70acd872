"""What is told when something changed: an event that people can look up, a notice to the intake.

Both are written in the transaction of the change itself, so that no kill comes between them.
"""

import sqlite3

import msgspec

from services.scanner.records import AnalysisStatus, EventType, Image
from services.scanner.store import events, images, outbox
from services.scanner.store.evaluations import Ended
from services.scanner.v1.notices import ANALYSIS, POLICY, analysis_notice, policy_notice, turn


class Announcements:
    """Writes down what is to be told."""

    def __init__(self, *, notices: bool) -> None:
        """`notices`: whether somebody takes them."""
        self._notices = notices

    def analysed(
        self, connection: sqlite3.Connection, image: Image, *, status: AnalysisStatus, now: int
    ) -> None:
        """An analysis is over: whoever waits for it may look."""
        if not self._notices:
            return
        for tag in images.tags(connection, image.digest):
            body = analysis_notice(image, fulltag=tag.fulltag, status=status, now=now)
            outbox.add(connection, kind=ANALYSIS, body=body, urgent=True, now=now)

    def turned(
        self,
        connection: sqlite3.Connection,
        image: Image,
        *,
        fulltag: str,
        result: msgspec.Raw,
        before: Ended,
        now: int,
    ) -> None:
        """An evaluation ended otherwise than the one before; `result`: Engine's, of now."""
        events.add(
            connection,
            kind=EventType.EVALUATION_TURNED,
            fulltag=fulltag,
            digest=image.digest,
            details=turn(image, fulltag, result, before) | {"subscription_type": POLICY},
            now=now,
        )
        if self._notices:
            body = policy_notice(image, fulltag=fulltag, result=result, before=before, now=now)
            outbox.add(connection, kind=POLICY, body=body, urgent=False, now=now)
