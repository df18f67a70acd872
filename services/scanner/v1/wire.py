"""Records in Engine's JSON shapes, as recorded from Engine 1.1 (docs/design/anchore-engine.md)."""

import base64
import hashlib
from collections.abc import Sequence
from typing import Any

import msgspec

from services.scanner.matching.port import DataState
from services.scanner.records import ACCOUNT, Event, EventType, Image, Policy, Tag
from services.scanner.v1.timestamps import timestamp, timestamp_us
from shared.domain.reference import parse_reference

SERVICE = "imagegate-scanner"

EVENT_WORDS = {
    EventType.ANALYSIS_FAILED: ("error", "Failed to analyze image"),
    EventType.EVALUATION_TURNED: ("info", "Policy evaluation update detected for a tagged image"),
}
"""Level and message of events."""


def image_record(image: Image) -> dict[str, Any]:
    """An entry of GET /v1/images."""
    facts = image.metadata
    return {
        "analysis_status": image.status,
        "analyzed_at": timestamp(image.analyzed_at) if image.analyzed_at else None,
        "annotations": image.annotations,
        "created_at": timestamp(image.created_at),
        "imageDigest": image.digest,
        "image_content": {
            "metadata": {
                "arch": facts.architecture if facts else None,
                "distro": facts.distro if facts else None,
                "distro_version": facts.distro_version if facts else None,
                "dockerfile_mode": _dockerfile_mode(image),
                "image_size": facts.size if facts else None,
                "layer_count": facts.layers if facts else None,
            }
        },
        "image_detail": [_image_detail(image, tag) for tag in image.tags],
        "image_status": "active",
        "image_type": "docker",
        "last_updated": timestamp(image.last_updated),
        "parentDigest": image.digest,
        "userId": ACCOUNT,
    }


def _dockerfile_mode(image: Image) -> str | None:
    if image.dockerfile is not None:
        return "Actual"
    return image.metadata.dockerfile_mode if image.metadata else None


def _image_detail(image: Image, tag: Tag) -> dict[str, Any]:
    reference = parse_reference(tag.fulltag)
    guessed = image.metadata.dockerfile.encode() if image.metadata else None
    dockerfile = guessed if image.dockerfile is None else image.dockerfile
    return {
        "created_at": timestamp(tag.detected_at),
        "digest": image.digest,
        "dockerfile": None if dockerfile is None else base64.b64encode(dockerfile).decode(),
        "fulldigest": f"{reference.repository}@{image.digest}",
        "fulltag": tag.fulltag,
        "imageDigest": image.digest,
        "imageId": image.image_id,
        "last_updated": timestamp(image.last_updated),
        "registry": reference.host,
        "repo": reference.path,
        "tag": reference.tag,
        "tag_detected_at": timestamp(tag.detected_at),
        "userId": ACCOUNT,
    }


def policy_record(policy: Policy, *, detail: bool, meta: bool = False) -> dict[str, Any]:
    """A policy's record: with `detail` the bundle as it was pushed, else an empty object."""
    record: dict[str, Any] = {
        "active": policy.active,
        "created_at": timestamp(policy.created_at),
        "last_updated": timestamp(policy.last_updated),
        "name": policy.name,
        "policyId": policy.id,
        "policy_source": "local",
        "policybundle": msgspec.Raw(policy.bundle) if detail else {},
        "userId": ACCOUNT,
    }
    if meta:
        digest = hashlib.md5(policy.bundle, usedforsecurity=False).hexdigest()
        record["policybundlemeta"] = (
            {"digest": digest, "size": len(policy.bundle), "userId": ACCOUNT} if detail else {}
        )
    return record


def check_answer(
    *,
    digest: str,
    fulltag: str,
    policy: Policy,
    status: str,
    result: msgspec.Raw | dict[str, Any],
    now: int,
    detail: bool,
) -> list[dict[str, Any]]:
    """GET /v1/images/{digest}/check: the bundle stands in it twice, as Engine has it. When it was
    evaluated stands there more exactly than Engine's seconds: of two evaluations in one second the
    later one counts, which a feed may have turned."""
    entry = {
        "detail": {"policy": msgspec.Raw(policy.bundle), "result": result} if detail else {},
        "last_evaluation": timestamp_us(now),
        "policyId": policy.id,
        "status": status,
    }
    return [{digest: {fulltag: [entry]}}]


def events_page(events: Sequence[Event], *, base_url: str, page: int, limit: int) -> dict[str, Any]:
    """GET /v1/events; `events` holds one more than `limit` when there is a next page."""
    shown = events[:limit]
    return {
        "item_count": len(shown),
        "next_page": len(events) > limit,
        "page": page,
        "results": [_event(event, base_url) for event in shown],
    }


def _event(event: Event, base_url: str) -> dict[str, Any]:
    at = timestamp_us(event.at)
    level, message = EVENT_WORDS[event.type]
    return {
        "created_at": at,
        "event": {
            "details": event.details,
            "level": level,
            "message": message,
            "resource": {"id": event.fulltag, "type": "image_tag", "user_id": ACCOUNT},
            "source": {
                "base_url": base_url,
                "hostid": SERVICE,
                "request_id": None,
                "servicename": SERVICE,
            },
            "timestamp": at,
            "type": event.type,
        },
        "generated_uuid": event.id,
    }


def feed_records(state: DataState) -> list[dict[str, Any]]:
    """GET /v1/system/feeds: what there is data about, up to when, and what is wrong with it."""
    groups = [
        {
            "covered_packages": one.covers,
            "enabled": True,
            "ended": one.ended or None,
            "last_sync": _time(one.as_of),
            "name": one.name,
            "record_count": one.records,
        }
        for one in state.groups
    ]
    feed = {
        "enabled": True,
        "groups": groups,
        "last_full_sync": _time(state.as_of),
        "name": "vulnerabilities",
        "problem": state.problem or None,
        "source": state.source,
    }
    return [feed]


def data_state(state: DataState) -> dict[str, Any]:
    """What /v1/status says of the data."""
    return {
        "as_of": _time(state.as_of),
        "identity": state.identity,
        "problem": state.problem or None,
        "records": sum(one.records for one in state.groups),
        "source": state.source,
    }


def deletion(digest: str, problem: str | None, *, found: bool) -> dict[str, Any]:
    """An answer of DELETE /v1/images: its status is 200 whatever came of it."""
    status = "not_found" if not found else "delete_failed" if problem else "deleting"
    return {"detail": problem, "digest": digest, "status": status}


def _time(at: int | None) -> str | None:
    return None if at is None else timestamp(at)
