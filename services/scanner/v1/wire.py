"""Records in Engine's JSON shapes, as recorded from Engine 1.1 (docs/design/anchore-engine.md)."""

import base64
import hashlib
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec

from services.scanner.matching.port import DataState
from services.scanner.records import ACCOUNT, Failure, Image, Policy, Tag
from shared.domain.reference import parse_reference

SERVICE = "imagegate-scanner"


def timestamp(at: int) -> str:
    """ISO 8601 in seconds, from ms since the epoch."""
    return datetime.fromtimestamp(at // 1000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


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
    """GET /v1/images/{digest}/check: the bundle stands in it twice, as Engine has it."""
    entry = {
        "detail": {"policy": msgspec.Raw(policy.bundle), "result": result} if detail else {},
        "last_evaluation": timestamp(now),
        "policyId": policy.id,
        "status": status,
    }
    return [{digest: {fulltag: [entry]}}]


def events_page(
    failures: Sequence[Failure], *, base_url: str, page: int, limit: int
) -> dict[str, Any]:
    """GET /v1/events; `failures` holds one more than `limit` when there is a next page."""
    shown = failures[:limit]
    return {
        "item_count": len(shown),
        "next_page": len(failures) > limit,
        "page": page,
        "results": [_event(failure, base_url) for failure in shown],
    }


def _event(failure: Failure, base_url: str) -> dict[str, Any]:
    at = datetime.fromtimestamp(failure.at / 1000, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    return {
        "created_at": at,
        "event": {
            "details": {"msg": failure.reason},
            "level": "error",
            "message": "Failed to analyze image",
            "resource": {"id": failure.fulltag, "type": "image_tag", "user_id": ACCOUNT},
            "source": {
                "base_url": base_url,
                "hostid": SERVICE,
                "request_id": None,
                "servicename": SERVICE,
            },
            "timestamp": at,
            "type": "user.image.analysis.failed",
        },
        "generated_uuid": failure.id,
    }


def feed_records(state: DataState) -> list[dict[str, Any]]:
    """GET /v1/system/feeds: what there is data about, up to when."""
    groups = [
        {
            "enabled": True,
            "last_sync": None if one.as_of is None else timestamp(one.as_of),
            "name": one.name,
            "record_count": one.records,
            "covered_packages": one.covers,
        }
        for one in state.groups
    ]
    return [{"enabled": True, "groups": groups, "name": "vulnerabilities"}]
