"""Engine 1.1.0's bodies: built here, held against recordings in tests/data/anchore by a test."""

import hashlib
from datetime import UTC, datetime
from typing import Any

HEADER = [
    "Image_Id",
    "Repo_Tag",
    "Trigger_Id",
    "Gate",
    "Trigger",
    "Check_Output",
    "Gate_Action",
    "Whitelisted",
    "Policy_Id",
]

Json = Any

BASELINE: dict[str, Json] = {
    "blacklisted_images": [],
    "comment": "the fake's policy",
    "id": "fake-baseline",
    "mappings": [
        {
            "id": "everything",
            "image": {"type": "tag", "value": "*"},
            "name": "default",
            "policy_id": "fake-policy",
            "registry": "*",
            "repository": "*",
            "whitelist_ids": ["fake-whitelist"],
        }
    ],
    "name": "Fake baseline",
    "policies": [
        {
            "comment": "",
            "id": "fake-policy",
            "name": "Fake policy",
            "rules": [
                {
                    "action": "STOP",
                    "gate": "packages",
                    "id": "no-openssh-server",
                    "params": [{"name": "name", "value": "openssh-server"}],
                    "trigger": "blacklist",
                }
            ],
            "version": "1_0",
        }
    ],
    "version": "1_0",
    "whitelisted_images": [],
    "whitelists": [{"id": "fake-whitelist", "items": [], "name": "empty", "version": "1_0"}],
}


def iso(seconds: float) -> str:
    """`2026-11-23T15:03:05Z`: without fractions, as image and policy records have it."""
    return f"{datetime.fromtimestamp(int(seconds), UTC):%Y-%m-%dT%H:%M:%SZ}"


def image_id(digest: str) -> str:
    """The config's id, 64 hex digits."""
    return hashlib.sha256(digest.encode()).hexdigest()


def full_tag(text: str) -> str:
    """What Engine makes of a short name."""
    head, slash, _ = text.partition("/")
    if not slash:
        text = f"docker.io/library/{text}"
    elif not ("." in head or ":" in head or head == "localhost"):
        text = f"docker.io/{text}"
    return text if ":" in text.rpartition("/")[2] else f"{text}:latest"


def engine_error(status: int, message: str, **detail: Json) -> Json:
    """Engine's own shape."""
    return {
        "detail": {"error_codes": [], **detail},
        "httpcode": status,
        "message": message,
    }


def problem(status: int, title: str, detail: str | None) -> Json:
    """The shape of its request validation and routing."""
    return {"detail": detail, "status": status, "title": title, "type": "about:blank"}


def registry_error(code: str, tag: str) -> Json:
    """What a registry's trouble looks like, with skopeo's command line in it."""
    said = {
        "REGISTRY_IMAGE_NOT_FOUND": "manifest unknown: manifest unknown",
        "REGISTRY_PERMISSION_DENIED": "unauthorized: authentication required",
    }.get(code, "connect: connection refused")
    return engine_error(
        400,
        "cannot fetch image digest/manifest from registry",
        error_codes=[code],
        raw_exception_message=(
            "Error encountered in skopeo operation. cmd=/bin/sh -c skopeo   inspect --raw "
            f"--tls-verify=false  docker://{tag}, rc=1, stdout=None, "
            'stderr=b\'time="2026-11-23T15:08:00Z" level=fatal msg="Error parsing image name '
            f'\\\\"docker://{tag}\\\\": {said}"\\n\', error_code={code}'
        ),
    )


def image_record(
    *,
    digest: str,
    parent: str,
    tags: list[str],
    status: str,
    account: str,
    created: float,
    updated: float,
    analyzed: float | None,
    dockerfile: str | None,
) -> Json:
    """One element of every answer about images."""
    done = analyzed is not None
    mode = "Actual" if dockerfile else "Guessed" if done else None
    shown = dockerfile or (GUESSED if done else None)
    return {
        "analysis_status": status,
        "analyzed_at": iso(analyzed) if analyzed is not None else None,
        "annotations": {},
        "created_at": iso(created),
        "imageDigest": digest,
        "image_content": {
            "metadata": {
                "arch": "amd64" if done else None,
                "distro": "debian" if done else None,
                "distro_version": "12" if done else None,
                "dockerfile_mode": mode,
                "image_size": 138629120 if done else None,
                "layer_count": 2 if done else None,
            }
        },
        "image_detail": [
            _detail(
                tag,
                digest=digest,
                account=account,
                created=created,
                updated=updated,
                dockerfile=shown,
            )
            for tag in tags
        ],
        "image_status": "active",
        "image_type": "docker",
        "last_updated": iso(updated),
        "parentDigest": parent,
        "userId": account,
    }


def _detail(
    tag: str, *, digest: str, account: str, created: float, updated: float, dockerfile: str | None
) -> Json:
    name, _, label = tag.rpartition(":")
    registry, _, repository = name.partition("/")
    return {
        "created_at": iso(created),
        "digest": digest,
        "dockerfile": dockerfile,
        "fulldigest": f"{name}@{digest}",
        "fulltag": tag,
        "imageDigest": digest,
        "imageId": image_id(digest),
        "last_updated": iso(updated),
        "registry": registry,
        "repo": repository,
        "tag": label,
        "tag_detected_at": iso(created),
        "userId": account,
    }


def check_answer(
    *,
    digest: str,
    tag: str,
    account: str,
    bundle: Json,
    final_action: str,
    rows: list[list[Json]],
    evaluated: float,
    computed: float,
    detail: bool,
    mapped: bool = True,
) -> Json:
    """The answer to `check`; `computed` is older where the policy engine kept its result."""
    status = "fail" if final_action == "stop" else "pass"
    result = {
        "bundle": bundle,
        "created_at": int(computed),
        "evaluation_problems": [],
        "final_action": final_action,
        "final_action_reason": "policy_evaluation",
        "image_digest": digest,
        "image_id": image_id(digest),
        "last_modified": int(computed),
        "matched_blacklisted_images_rule": False,
        "matched_mapping_rule": bundle["mappings"][0] if mapped else False,
        "matched_whitelisted_images_rule": False,
        "result": {
            image_id(digest): {
                "result": {
                    "final_action": final_action,
                    "header": HEADER,
                    "row_count": len(rows),
                    "rows": [[image_id(digest), tag, *row] for row in rows],
                }
            },
            "policy_data": [],
            "policy_name": "",
            "whitelist_data": [],
            "whitelist_names": [],
        },
        "status": status,
        "tag": tag,
        "user_id": account,
    }
    evaluation = {
        "detail": {"policy": bundle, "result": result} if detail else {},
        "last_evaluation": iso(evaluated),
        "policyId": bundle["id"],
        "status": status,
    }
    return [{digest: {tag: [evaluation]}}]


def row(
    gate: str, trigger: str, trigger_id: str, action: str, output: str, *, allowed: bool = False
) -> list[Json]:
    """One row after its image and tag; `allowed`: by a whitelist, which makes its action go."""
    item = {
        "matched_rule_id": "w1",
        "whitelist_id": "fake-whitelist",
        "whitelist_name": "empty",
    }
    return [
        trigger_id,
        gate,
        trigger,
        output,
        "go" if allowed else action,
        item if allowed else False,
        "fake-policy",
    ]


OPENSSH = row(
    "packages",
    "blacklist",
    "c6e0b4cdc3f4f2b8f8e2a0a3a7a8c0f1",
    "stop",
    "Package is blacklisted: openssh-server",
)
NO_HEALTHCHECK = row(
    "dockerfile",
    "instruction",
    "41cb7cdf04850e33a11f80c42bf660b3",
    "warn",
    "Dockerfile directive 'HEALTHCHECK' not found, matching condition 'not_exists' check",
)
GUESSED = "RlJPTSBzY3JhdGNoCg=="
"""`FROM scratch`: Engine makes a Dockerfile up where none was given."""

ROWS: dict[str, list[list[Json]]] = {"go": [], "warn": [NO_HEALTHCHECK], "stop": [OPENSSH]}


def policy_record(
    bundle: Json, *, active: bool, account: str, created: float, updated: float
) -> Json:
    """One policy, as PUT and POST answer with it."""
    return {
        "active": active,
        "created_at": iso(created),
        "last_updated": iso(updated),
        "name": bundle["name"],
        "policyId": bundle["id"],
        "policy_source": "local",
        "policybundle": bundle,
        "userId": account,
    }


def read_policy_record(record: Json, *, detail: bool) -> Json:
    """The same as GET answers with it: with what the store says of the document."""
    if not detail:
        return record | {"policybundle": {}, "policybundlemeta": {}}
    name, account = record["policyId"], record["userId"]
    stored = {
        "archiveId": name,
        "bucket": "policy_bundles",
        "content_url": f"db://{account}/policy_bundles/{name}",
        "created_at": 1795446327,
        "digest": image_id(name)[:32],
        "documentName": f"{name}.json",
        "document_metadata": None,
        "is_compressed": False,
        "last_updated": 1795446327,
        "record_state_key": "active",
        "record_state_val": None,
        "size": 1620,
        "userId": account,
    }
    return record | {"policybundlemeta": stored}


def failed_event(tag: str, digest: str, reason: str, at: float) -> Json:
    """What /events tells of an analysis that failed."""
    stamp = f"{datetime.fromtimestamp(at, UTC):%Y-%m-%dT%H:%M:%S.%fZ}"
    return {
        "created_at": stamp,
        "event": {
            "details": {"msg": f"failed to download, unpack, analyze ({digest}) - {reason}"},
            "level": "error",
            "message": "Failed to analyze image",
            "resource": {"id": tag, "type": "image_tag", "user_id": "admin"},
            "source": {
                "base_url": "http://127.0.0.1:8084",
                "hostid": "anchore",
                "request_id": None,
                "servicename": "analyzer",
            },
            "timestamp": stamp,
            "type": "user.image.analysis.failed",
        },
        "generated_uuid": image_id(stamp)[:32],
    }
