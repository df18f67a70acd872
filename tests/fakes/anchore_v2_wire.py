"""v2's bodies as they are read in docs/design/anchore-v2.md, and never were seen; held against
tests/data/anchore-v2 by a test."""

from typing import Any

from tests.fakes.anchore_wire import GUESSED, Json, image_id, iso

BASELINE: dict[str, Json] = {
    "allowlisted_images": [],
    "allowlists": [
        {
            "description": "",
            "id": "fake-whitelist",
            "items": [],
            "name": "empty",
            "version": "2",
        }
    ],
    "denylisted_images": [],
    "description": "the fake's policy",
    "id": "fake-baseline",
    "mappings": [
        {
            "allowlist_ids": ["fake-whitelist"],
            "description": "",
            "id": "everything",
            "image": {"type": "tag", "value": "*"},
            "name": "default",
            "registry": "*",
            "repository": "*",
            "rule_set_ids": ["fake-policy"],
        }
    ],
    "name": "Fake baseline",
    "rule_sets": [
        {
            "artifact_type": "image",
            "description": "",
            "id": "fake-policy",
            "name": "Fake policy",
            "rules": [
                {
                    "action": "STOP",
                    "description": "",
                    "gate": "packages",
                    "id": "no-openssh-server",
                    "params": [{"name": "name", "value": "openssh-server"}],
                    "recommendation": "",
                    "trigger": "denylist",
                }
            ],
            "version": "2",
        }
    ],
    "version": "2",
}


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
    """One image; answers about an image are this object."""
    done = analyzed is not None
    shown = dockerfile or (GUESSED if done else None)
    return {
        "account_name": account,
        "analysis_status": status,
        "analysis_status_detail": _moves(status, updated),
        "annotations": {},
        "created_at": iso(created),
        "image_content": {
            "metadata": {
                "arch": "amd64" if done else None,
                "distro": "debian" if done else None,
                "distro_version": "12" if done else None,
                "dockerfile_mode": ("Actual" if dockerfile else "Guessed") if done else None,
                "image_size": 138629120 if done else None,
                "layer_count": 2 if done else None,
            }
        },
        "image_detail": [
            _detail(tag, digest=digest, account=account, dockerfile=shown)
            | {key: iso(created) for key in ("created_at", "tag_detected_at")}
            | {"last_updated": iso(updated)}
            for tag in tags
        ],
        "image_digest": digest,
        "image_status": "active",
        "last_updated": iso(updated),
        "parent_digest": parent,
        "record_version": "1",
    }


def _moves(status: str, at: float) -> Json:
    way = ["not_analyzed", "analyzing", status if status.startswith("anal") else ""]
    if status == "not_analyzed":
        return None
    source = {
        "analysis_engine": "syft-native-pipeline",
        "enterprise_version": "5.21.0",
        "host_id": "analyzer-0",
        "service_name": "analyzer",
    }
    steps = [(way[0], way[1])] + ([] if status == "analyzing" else [(way[1], way[2])])
    return [
        {"from_status": old, "to_status": new, "timestamp": iso(at), "source": source}
        for old, new in steps
    ]


def _detail(tag: str, *, digest: str, account: str, dockerfile: str | None) -> Json:
    name, _, label = tag.rpartition(":")
    registry, _, repository = name.partition("/")
    return {
        "account_name": account,
        "dockerfile": dockerfile,
        "full_digest": f"{name}@{digest}",
        "full_tag": tag,
        "image_digest": digest,
        "image_id": image_id(digest),
        "registry": registry,
        "repo": repository,
        "tag": label,
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
) -> Json:
    """The answer to `check`. It does not say whose it is, and its time is that of the evaluation
    that was kept."""
    del account, evaluated
    details = {
        "findings": [_finding(row) for row in rows],
        "policy": bundle,
        "policy_action": final_action,
        "remediations": None,
    }
    return {
        "evaluated_tag": tag,
        "evaluations": [
            {
                "comparison_image_digest": None,
                "details": details if detail else None,
                "evaluation_problems": [],
                "evaluation_time": iso(computed),
                "final_action": final_action,
                "final_action_reason": "policy_evaluation",
                "image_allowlisted": False,
                "image_denylisted": False,
                "image_mapped_to_rule": True,
                "matched_allowlisted_images_rule": None,
                "matched_denylisted_images_rule": None,
                "matched_mapping_rule": bundle["mappings"][0],
                "number_of_findings": len(rows),
                "status": "fail" if final_action == "stop" else "pass",
            }
        ],
        "image_digest": digest,
        "policy_id": bundle["id"],
    }


def _finding(row: list[Any]) -> Json:
    trigger_id, gate, trigger, output, action, allowed, policy = row
    match = {"id": "fake-whitelist", "matched_rule_id": "w1", "name": "empty"} if allowed else None
    return {
        "action": action,
        "allowlist_match": match,
        "allowlisted": bool(allowed),
        "gate": gate,
        "inherited_from_base": None,
        "message": output,
        "policy_id": policy,
        "recommendation": "",
        "rule_id": "no-openssh-server",
        "trigger": trigger,
        "trigger_id": trigger_id,
    }


def failed_event(tag: str, digest: str, reason: str, at: float) -> Json:
    """What /v2/events tells of an analysis that failed."""
    stamp = iso(at)
    return {
        "created_at": stamp,
        "event": {
            "category": "user",
            "details": {"msg": f"failed to download, unpack, analyze ({digest}) - {reason}"},
            "level": "error",
            "message": "Failed to analyze image",
            "resource": {"account_name": "admin", "id": tag, "type": "image_tag"},
            "source": {
                "base_url": "http://analyzer:8228",
                "host_id": "analyzer-0",
                "request_id": "3f1c2d7a9e",
                "service_name": "analyzer",
            },
            "timestamp": stamp,
            "type": "user.image.analysis.failed",
        },
        "event_id": image_id(tag)[:32],
    }


def policy_record(record: Json, *, detail: bool) -> Json:
    """A policy, kept as v1's record, as v2 tells of it."""
    document = record["policybundle"]
    return {
        "account_name": record["userId"],
        "active": record["active"],
        "created_at": record["created_at"],
        "description": document.get("description", ""),
        "last_updated": record["last_updated"],
        "name": record["name"],
        "policy": document if detail else None,
        "policy_id": record["policyId"],
        "policy_source": record["policy_source"],
    }
