"""Policies over HTTP, and the service's own answers."""

import base64
from typing import Any

import pytest

from shared.runtime.settings import Secret
from tests.fakes.anchore_replay import recording
from tests.functional.scanner.conftest import Client, Open
from tests.functional.scanner.test_images import shape
from tests.unit.scanner.samples import baseline, bundle_of, rule


def record_of(bundle: dict[str, Any], *, active: bool) -> dict[str, Any]:
    return {
        "active": active,
        "policyId": bundle["id"],
        "policybundle": bundle,
        "policy_source": "local",
    }


async def active_ids(scanner: Client) -> list[str]:
    _, listed = await scanner.get("/v1/policies")
    return [one["policyId"] for one in listed if one["active"]]


async def test_the_default_bundle_is_active_from_the_first_start(scanner: Client) -> None:
    status, body = await scanner.get("/v1/policies")

    assert status == 200
    assert [(one["policyId"], one["active"]) for one in body] == [("imagegate-default", True)]
    assert shape(body) == shape(recording("policies-list-initial").body)


async def test_a_pushed_bundle_is_kept_as_it_is_and_inactive(scanner: Client) -> None:
    status, body = await scanner.call("POST", "/v1/policies", json=baseline())

    recorded = recording("policy-post-new")
    assert (status, body["active"], body["policybundle"]) == (200, False, baseline())
    assert body.keys() == recorded.body.keys()
    _, ((found),) = await scanner.get("/v1/policies/oci-baseline")
    assert found["policybundle"] == baseline()
    assert found.keys() == recording("policy-get").body[0].keys()
    _, (brief,) = await scanner.get("/v1/policies/oci-baseline", detail="false")
    assert brief["policybundle"] == {}


async def test_another_bundle_is_activated_by_record_or_by_query(scanner: Client) -> None:
    await scanner.call("POST", "/v1/policies", json=baseline())

    path = "/v1/policies/oci-baseline"
    status, body = await scanner.call("PUT", path, json=record_of(baseline(), active=True))
    assert (status, body[0]["active"]) == (200, True)
    assert body[0].keys() == recording("policy-put-activate-minimal-record").body[0].keys()
    assert await active_ids(scanner) == ["oci-baseline"]
    _, ((other),) = await scanner.get("/v1/policies/imagegate-default")
    default = "/v1/policies/imagegate-default?active=true"
    await scanner.call("PUT", default, json=record_of(other["policybundle"], active=False))
    assert await active_ids(scanner) == ["imagegate-default"]
    status, body = await scanner.call("PUT", path, json=record_of(baseline(), active=False))
    assert (status, body[0]["active"]) == (200, False)


async def test_the_active_bundle_is_not_left_without_another_in_its_place(scanner: Client) -> None:
    await scanner.call("POST", "/v1/policies", json=baseline())
    path = "/v1/policies/oci-baseline"
    await scanner.call("PUT", path, json=record_of(baseline(), active=True))

    status, body = await scanner.call("PUT", path, json=record_of(baseline(), active=False))
    assert status == 400
    assert body["message"].startswith("cannot deactivate an active policy")
    assert await active_ids(scanner) == ["oci-baseline"]


async def test_pushing_the_active_bundle_again_keeps_it_active(scanner: Client) -> None:
    _, ((policy),) = await scanner.get("/v1/policies/imagegate-default")
    changed = policy["policybundle"] | {"name": "changed"}

    status, body = await scanner.call("POST", "/v1/policies", json=changed)
    assert (status, body["active"], body["name"]) == (200, True, "changed")
    assert await active_ids(scanner) == ["imagegate-default"]


async def test_a_bundle_with_something_unknown_is_refused_by_name_and_not_kept(
    scanner: Client,
) -> None:
    wrong = bundle_of(rule("files", "suid_or_guid_set"))

    status, body = await scanner.call("POST", "/v1/policies", json=wrong)
    recorded = recording("policy-post-invalid-gate")
    assert (status, body["message"]) == (recorded.status, recorded.body["message"])
    assert shape(body) == shape(recorded.body)
    assert "gate=files" in body["detail"]["validation_details"][0]["details"]
    assert (await scanner.get("/v1/policies/oci-baseline"))[0] == 404


async def test_a_bundle_without_mappings_is_told_as_engine_tells_it(scanner: Client) -> None:
    bundle = baseline()
    del bundle["mappings"]

    recorded = recording("policy-post-missing-mappings")
    answered = await scanner.call("POST", "/v1/policies", json=bundle)
    assert answered == (recorded.status, recorded.body)


async def test_an_update_that_does_not_fit_changes_nothing(scanner: Client) -> None:
    await scanner.call("POST", "/v1/policies", json=baseline())
    path = "/v1/policies/oci-baseline"
    wrong = bundle_of(rule("files", "x"))

    other = record_of(baseline() | {"id": "other"}, active=True)
    renamed = record_of(baseline() | {"id": "other"}, active=True) | {"policyId": "oci-baseline"}
    for record in (record_of(wrong, active=True), {"active": True}, other, renamed):
        assert (await scanner.call("PUT", path, json=record))[0] == 400
    assert await active_ids(scanner) == ["imagegate-default"]
    unknown = record_of(baseline() | {"id": "nosuch"}, active=True)
    recorded = recording("policy-put-unknown")
    answered = await scanner.call("PUT", "/v1/policies/nosuch", json=unknown)
    assert answered == (recorded.status, recorded.body)


async def test_bundles_are_deleted_but_never_the_active_one(scanner: Client) -> None:
    await scanner.call("POST", "/v1/policies", json=baseline())

    assert await scanner.call("DELETE", "/v1/policies/oci-baseline") == (200, "deleted")
    assert (await scanner.call("DELETE", "/v1/policies/oci-baseline"))[0] == 404
    status, body = await scanner.call("DELETE", "/v1/policies/imagegate-default")
    assert status == 400
    assert "cannot delete an active policy" in body["message"]


async def test_the_service_tells_what_it_is(scanner: Client) -> None:
    assert await scanner.get("/health") == (200, "ok")
    _, version = await scanner.get("/version")
    assert version["service"]["name"] == "imagegate-scanner"
    _, system = await scanner.get("/v1/system")
    assert system["service_states"][0]["servicename"] == "imagegate-scanner"
    _, feeds = await scanner.get("/v1/system/feeds")
    assert feeds[0]["groups"][0]["name"] == "debian:12"
    assert "openssh" in feeds[0]["groups"][0]["covered_packages"]
    assert (await scanner.get("/v1/status"))[1]["up"] is True
    assert await scanner.get("/v1/") == (200, "v1")


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("GET", "/v1/nosuch", 404), ("PUT", "/v1/images", 405), ("GET", "/v1/events?page=0", 400)],
)
async def test_what_is_not_of_the_api_is_told_in_engines_other_shape(
    scanner: Client, method: str, path: str, status: int
) -> None:
    answered, body = await scanner.call(method, path)

    assert (answered, body["status"], body["type"]) == (status, status, "about:blank")


async def test_there_is_no_other_account(scanner: Client) -> None:
    headers = {"x-anchore-account": "payments"}

    assert (await scanner.call("GET", "/v1/images", headers=headers))[0] == 403
    headers["x-anchore-account"] = "admin"
    assert (await scanner.call("GET", "/v1/images", headers=headers))[0] == 200


@pytest.mark.parametrize(
    ("header", "status"),
    [
        ("", 401),
        ("Basic " + base64.b64encode(b"admin:secret").decode(), 200),
        ("basic " + base64.b64encode(b"admin:secret").decode(), 200),
        ("Basic " + base64.b64encode(b"admin:wrong").decode(), 401),
        ("Basic !!!", 401),
        ("Bearer secret", 401),
    ],
)
async def test_with_a_password_nobody_else_gets_in(
    open_scanner: Open, header: str, status: int
) -> None:
    scanner = await open_scanner(
        imagegate_scanner_user="admin", imagegate_scanner_password=Secret("secret")
    )
    headers = {"Authorization": header} if header else {}

    assert (await scanner.call("GET", "/v1/images", headers=headers))[0] == status
    assert (await scanner.call("GET", "/health", headers=headers))[0] == 200


async def test_a_refused_caller_is_told_as_engine_tells_it(open_scanner: Open) -> None:
    scanner = await open_scanner(
        imagegate_scanner_user="admin", imagegate_scanner_password=Secret("secret")
    )

    async with scanner.session.get(f"{scanner.url}/v1/images") as response:
        assert response.headers["WWW-Authenticate"] == 'basic realm="Authentication required"'
        assert (response.status, await response.text()) == (401, "Unauthorized")
        assert response.content_type == "text/html"
