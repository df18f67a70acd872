"""What the scanner tells by itself: notifications as Engine's webhooks were recorded
(docs/design/anchore-engine.md 8)."""

import uuid
from typing import Any

import msgspec

from services.scanner.records import ACCOUNT, AnalysisStatus, Image
from services.scanner.store.evaluations import Ended

ANALYSIS = "analysis_update"
POLICY = "policy_eval"

MAX_RESULT = 1024**2
"""Bytes of an evaluation that is told with all its rows; a larger one is told without."""


def analysis_notice(image: Image, *, fulltag: str, status: AnalysisStatus, now: int) -> bytes:
    """An analysis of `image` is over."""

    def state(status: AnalysisStatus) -> dict[str, Any]:
        return {
            "analysis_status": status,
            "annotations": image.annotations,
            "imageDigest": image.digest,
        }

    payload = {
        "annotations": image.annotations,
        "curr_eval": state(status),
        "last_eval": state(AnalysisStatus.ANALYZING),
    }
    return _envelope(ANALYSIS, fulltag, payload, now)


def policy_notice(
    image: Image, *, fulltag: str, result: msgspec.Raw, before: Ended, now: int
) -> bytes:
    """Another final action than before: `result` is Engine's `detail.result` of now."""
    return _envelope(POLICY, fulltag, turn(image, fulltag, result, before), now)


def turn(image: Image, fulltag: str, result: msgspec.Raw, before: Ended) -> dict[str, Any]:
    """How an evaluation turned. Of the one before no more is kept than how it ended."""
    last = {
        "created_at": before.at // 1000,
        "final_action": before.final_action,
        "image_digest": image.digest,
        "image_id": image.image_id,
        "last_modified": before.at // 1000,
        "status": before.status,
        "tag": fulltag,
        "user_id": ACCOUNT,
    }
    whole = len(bytes(result)) <= MAX_RESULT
    return {"curr_eval": result if whole else _without_rows(result), "last_eval": last}


def _without_rows(result: msgspec.Raw) -> dict[str, Any]:
    told: dict[str, Any] = msgspec.json.decode(result)
    return {name: value for name, value in told.items() if name not in ("bundle", "result")}


def _envelope(kind: str, fulltag: str, payload: dict[str, Any], now: int) -> bytes:
    seconds, notification = now // 1000, str(uuid.uuid4())
    about = {
        "notificationId": notification,
        "subscription_key": fulltag,
        "subscription_type": kind,
        "userId": ACCOUNT,
    }
    return msgspec.json.encode(
        {
            "created_at": seconds,
            "data": {
                "notification_payload": about | payload,
                "notification_type": kind,
                "notification_user": ACCOUNT,
                "notification_user_email": f"{ACCOUNT}@imagegate",
            },
            "dataId": notification,
            "last_updated": seconds,
            "max_tries": seconds,
            "queueId": kind,
            "record_state_key": "active",
            "record_state_val": None,
            "tries": 0,
            "userId": ACCOUNT,
        }
    )
