"""Engine's own bundles, pushed and checked over HTTP."""

import json
import sqlite3
from typing import Any

import pytest

from tests.agreement import FOLDER, bundles
from tests.fakes.registry import FakeRegistry
from tests.functional.scanner.conftest import Client
from tests.functional.scanner.images import BASE_FILES, NETBASE, debian_image
from tests.unit.scanner.samples import bundle_of, rule

GOOD = debian_image(BASE_FILES, NETBASE)
REFUSED: list[dict[str, Any]] = json.loads((FOLDER / "refused.json").read_bytes())


async def test_every_bundle_that_engine_took_is_taken_and_judges(
    scanner: Client, registry: FakeRegistry
) -> None:
    reference = await scanner.analysed(registry, GOOD)

    for bundle_id, bundle in bundles().items():
        status, body = await scanner.call("POST", "/v1/policies", json=bundle)
        assert status == 200, body
        entry = await scanner.entry(reference, GOOD.digest, policyId=bundle_id)
        assert entry["policyId"] == bundle_id
        assert entry["detail"]["policy"] == entry["detail"]["result"]["bundle"] == bundle


@pytest.mark.parametrize("recorded", REFUSED, ids=lambda recorded: str(recorded["name"]))
async def test_what_engine_refused_is_refused_in_its_shape(
    scanner: Client, recorded: dict[str, Any]
) -> None:
    theirs = recorded["body"]

    status, body = await scanner.call("POST", "/v1/policies", json=recorded["bundle"])
    assert (status, body.keys()) == (recorded["status"], theirs.keys())
    if "message" in theirs:
        ours = body["detail"]["validation_details"]
        kinds = [one["problem_type"] for one in theirs["detail"]["validation_details"]]
        assert (body["message"], body["detail"].keys()) == (
            theirs["message"],
            theirs["detail"].keys(),
        )
        assert [one["problem_type"] for one in ours] == kinds
    else:
        assert body == theirs


def listed(reference_path: str, **lists: str) -> dict[str, Any]:
    """A bundle that lists the image under these keys."""
    bundle = bundle_of(rule("always", "always", "WARN")) | {"id": "listed"}
    for key, kind in lists.items():
        value = {"tag": "*", "digest": GOOD.digest}[kind]
        bundle[key] = [
            {
                "id": key,
                "name": "",
                "registry": "*",
                "repository": reference_path,
                "image": {"type": kind, "value": value},
            }
        ]
    return bundle


@pytest.mark.parametrize(
    ("lists", "status", "reason"),
    [
        ({"blacklisted_images": "tag"}, "fail", "blacklisted"),
        ({"blacklisted_images": "digest"}, "fail", "blacklisted"),
        ({"whitelisted_images": "digest"}, "pass", "whitelisted"),
        (
            {"whitelisted_images": "digest", "blacklisted_images": "tag"},
            "fail",
            "blacklisted",
        ),
    ],
)
async def test_a_listed_image_is_answered_with_the_entry_that_lists_it(
    scanner: Client, registry: FakeRegistry, lists: dict[str, str], status: str, reason: str
) -> None:
    reference = await scanner.analysed(registry, GOOD)
    bundle = listed(reference.path, **lists)
    await scanner.call("POST", "/v1/policies", json=bundle)

    entry = await scanner.entry(reference, GOOD.digest, policyId="listed")
    result = entry["detail"]["result"]
    assert (entry["status"], result["final_action_reason"]) == (status, reason)
    for key in ("blacklisted_images", "whitelisted_images"):
        expected = bundle[key][0] if key in lists else False
        assert result[f"matched_{key}_rule"] == expected


async def test_a_bundle_of_another_version_fails_checks_and_says_what_to_do(
    scanner: Client, registry: FakeRegistry
) -> None:
    reference = await scanner.analysed(registry, GOOD)
    bundle = bundle_of(rule("always", "always"))
    await scanner.call("POST", "/v1/policies", json=bundle)
    bundle["policies"][0]["rules"][0]["gate"] = "once_known"
    (database,) = scanner.folder.rglob("*.db")
    with sqlite3.connect(database) as connection:
        connection.execute(
            "UPDATE policies SET bundle = ? WHERE id = ?",
            (json.dumps(bundle).encode(), bundle["id"]),
        )

    entry = await scanner.entry(reference, GOOD.digest, policyId=bundle["id"])
    (problem,) = entry["detail"]["result"]["evaluation_problems"]
    assert entry["status"] == "fail"
    assert problem["problem_type"] == "InvalidBundle"
    assert "change it and push it again" in problem["details"]
    assert "gate=once_known" in problem["details"]
