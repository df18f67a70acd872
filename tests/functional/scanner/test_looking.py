"""What people look up of an image, in the shapes that a real Engine was recorded with."""

import json
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from tests.fakes.registry import FakeRegistry
from tests.functional.scanner.conftest import Client, Open, waiting_for
from tests.functional.scanner.images import BASE_FILES, EXPAT, NETBASE, debian_image

EXPAT_IMAGE = debian_image(BASE_FILES, EXPAT)
RECORDED = Path(__file__).parents[2] / "data" / "anchore"
UNKNOWN = "imagegate_unknown"
STRANGER = "Package: stranger\nVersion: 1.0\n"
LISTING = json.dumps(
    {
        "artifacts": [
            {
                "name": "libexpat1",
                "version": "2.5.0-1",
                "type": "deb",
                "metadata": {"source": "expat"},
            },
            {"name": "requests", "version": "2.31.0", "type": "python"},
            {"name": "left-pad", "version": "1.3.0", "type": "npm"},
        ],
        "distro": {"id": "debian", "versionID": "12"},
        "source": {"metadata": {"imageSize": 1024}},
    }
)


def recorded(name: str) -> Any:
    """The body of an answer of a real Engine."""
    return json.loads((RECORDED / f"{name}.json").read_bytes())["response"]["body"]


def shape(value: Any) -> Any:
    """Names and kinds, without what they hold."""
    if isinstance(value, Mapping):
        return {name: shape(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [shape(value[0])] if value else []
    return type(value).__name__


async def test_vulnerabilities_have_engines_shape_and_say_what_is_not_known(
    real_scanner: Client, registry: FakeRegistry
) -> None:
    image = debian_image(BASE_FILES, EXPAT, STRANGER)
    await real_scanner.analysed(registry, image)

    status, body = await real_scanner.get(f"/v1/images/{image.digest}/vuln/all")
    assert status == 200
    unknown = body.pop(UNKNOWN)
    found = {one["vuln"]: one for one in body["vulnerabilities"]}
    scored = found["CVE-2024-45491"]
    assert scored["nvd_data"][0]["cvss_v3"]["base_score"] == 9.8
    assert scored["package"] == "libexpat1-2.5.0-1"
    assert scored["severity"] == "Critical"
    assert scored["fix"] != "None"
    assert shape([scored | {"nvd_data": []}]) == shape(
        recorded("vuln-while-analyzed-bad")["vulnerabilities"]
    )
    assert [one["name"] for one in unknown["packages"]] == ["stranger"]
    assert unknown["feed_group"] == "debian:12"
    assert unknown["unavailable"] == ""
    assert unknown["as_of"] is not None


async def test_a_release_without_data_is_said_beside_an_empty_list(
    real_scanner: Client, registry: FakeRegistry
) -> None:
    other = debian_image(BASE_FILES, os_release=b"ID=debian\nVERSION_ID=99\n")
    await real_scanner.analysed(registry, other)

    status, body = await real_scanner.get(f"/v1/images/{other.digest}/vuln/os")
    assert status == 200
    assert body["vulnerabilities"] == []
    assert body[UNKNOWN]["unavailable"]


async def test_packages_are_listed_by_type(
    open_scanner: Open, fake_syft: Callable[[str], str], registry: FakeRegistry
) -> None:
    scanner = await open_scanner(path=fake_syft(f"echo '{LISTING}'"))
    await scanner.analysed(registry, EXPAT_IMAGE)
    path = f"/v1/images/{EXPAT_IMAGE.digest}/content"

    assert await scanner.get(path) == (200, ["os", "npm", "python"])
    _, os_packages = await scanner.get(f"{path}/os")
    expected = recorded("image-content-os-good")
    assert shape(os_packages["content"][0] | {"cpes": [""]}) == shape(expected["content"][0])
    assert set(os_packages) == {*expected}
    assert [one["package"] for one in os_packages["content"]] == ["libexpat1"]
    _, python = await scanner.get(f"{path}/python")
    assert [(one["package"], one["type"]) for one in python["content"]] == [("requests", "PYTHON")]
    assert (await scanner.get(f"{path}/gem"))[0] == 404


async def test_operating_system_and_languages_are_told_apart(
    open_scanner: Open, fake_syft: Callable[[str], str], registry: FakeRegistry
) -> None:
    scanner = await open_scanner(path=fake_syft(f"echo '{LISTING}'"))
    await scanner.analysed(registry, EXPAT_IMAGE)
    path = f"/v1/images/{EXPAT_IMAGE.digest}/vuln"

    assert await scanner.get(path) == (200, ["os", "non-os", "all"])
    _, system = await scanner.get(f"{path}/os")
    _, languages = await scanner.get(f"{path}/non-os")
    _, everything = await scanner.get(f"{path}/all")
    assert {one["package_name"] for one in system["vulnerabilities"]} == {"libexpat1"}
    assert languages["vulnerabilities"] == []
    assert [one["name"] for one in languages[UNKNOWN]["packages"]] == ["requests", "left-pad"]
    assert everything["vulnerabilities"] == system["vulnerabilities"]


@pytest.mark.parametrize("path", ["vuln/os", "content/os", "vuln", "content"])
async def test_nothing_is_said_of_what_is_not_analysed(
    open_scanner: Open, fake_syft: Callable[[str], str], registry: FakeRegistry, path: str
) -> None:
    scanner = await open_scanner(path=fake_syft("sleep 60"))
    await scanner.submit(registry.put(EXPAT_IMAGE, "team/app:1.0"), EXPAT_IMAGE.digest)

    status, body = await scanner.get(f"/v1/images/{EXPAT_IMAGE.digest}/{path}")
    assert status == 404
    assert body["message"].startswith("image is not analyzed - analysis_status: ")
    status, body = await scanner.get(f"/v1/images/sha256:{'0' * 64}/{path}")
    assert (status, body) == (404, recorded("vuln-unknown-image"))


async def test_another_type_is_unknown(scanner: Client, registry: FakeRegistry) -> None:
    await scanner.analysed(registry, EXPAT_IMAGE)

    status, body = await scanner.get(f"/v1/images/{EXPAT_IMAGE.digest}/vuln/bogus")
    assert (status, body) == (404, recorded("vuln-bad-type"))


async def test_an_image_is_found_by_the_digest_of_its_config(
    scanner: Client, registry: FakeRegistry
) -> None:
    reference = await scanner.analysed(registry, EXPAT_IMAGE)
    _, (record,) = await scanner.get(f"/v1/images/{EXPAT_IMAGE.digest}")
    image_id = record["image_detail"][0]["imageId"]

    status, body = await scanner.get(f"/v1/images/by_id/{image_id}")
    assert (status, body) == (200, [record])
    status, body = await scanner.get(f"/v1/images/by_id/{image_id}/vuln/os")
    assert (status, body["imageDigest"]) == (200, EXPAT_IMAGE.digest)
    status, body = await scanner.get(f"/v1/images/by_id/{image_id}/content/os")
    assert (status, body["imageDigest"]) == (200, EXPAT_IMAGE.digest)
    status, body = await scanner.get(f"/v1/images/by_id/{image_id}/check", tag=reference.tagged)
    assert (status, [*body[0]]) == (200, [EXPAT_IMAGE.digest])
    status, body = await scanner.get(f"/v1/images/by_id/{'0' * 64}")
    assert (status, body) == (404, recorded("images-by-id-unknown"))


async def test_deletion_answers_as_engine_does(
    open_scanner: Open, fake_syft: Callable[[str], str], registry: FakeRegistry
) -> None:
    scanner = await open_scanner(path=fake_syft(f"echo '{LISTING}'"))
    newest, older = EXPAT_IMAGE, debian_image(NETBASE)
    await scanner.analysed(registry, older)
    await scanner.analysed(registry, newest)

    async def deletion(digest: str, **query: str) -> Any:
        status, body = await scanner.call("DELETE", f"/v1/images/{digest}", params=query)
        assert status == 200
        return body

    def as_recorded(name: str, digest: str) -> Any:
        return recorded(name) | {"digest": digest}

    assert await deletion(newest.digest) == as_recorded(
        "image-delete-analyzed-no-force", newest.digest
    )
    assert await deletion(older.digest) == as_recorded("image-delete-force", older.digest)
    assert await deletion(newest.digest, force="true") == as_recorded(
        "image-delete-force", newest.digest
    )
    assert await deletion(newest.digest) == as_recorded("image-delete-unknown", newest.digest)
    assert await scanner.get("/v1/images") == (200, [])


async def test_what_is_being_analysed_goes_with_force_only(
    open_scanner: Open, fake_syft: Callable[[str], str], registry: FakeRegistry, tmp_path: Path
) -> None:
    go = tmp_path / "go"
    scanner = await open_scanner(path=fake_syft(waiting_for(go, f"echo '{LISTING}'")))
    await scanner.submit(registry.put(EXPAT_IMAGE, "team/app:1.0"), EXPAT_IMAGE.digest)
    path = f"/v1/images/{EXPAT_IMAGE.digest}"
    while (await scanner.get(path))[1][0]["analysis_status"] == "not_analyzed":
        pass

    _, body = await scanner.call("DELETE", path)
    assert body == recorded("image-delete-while-analyzing") | {"digest": EXPAT_IMAGE.digest}
    _, body = await scanner.call("DELETE", path, params={"force": "true"})
    assert body["status"] == "deleting"
    assert (await scanner.get(path))[0] == 404
    # Its analysis ends and is nobody's; the next one is a new one.
    go.touch()
    await scanner.submit(registry.put(EXPAT_IMAGE, "team/app:1.0"), EXPAT_IMAGE.digest)
    assert (await scanner.finished(EXPAT_IMAGE.digest))["analysis_status"] == "analyzed"


async def test_its_status_tells_the_datas_day_and_what_is_wrong_with_it(
    scanner: Client, registry: FakeRegistry
) -> None:
    _, (feeds,) = await scanner.get("/v1/system/feeds")
    _, status = await scanner.get("/v1/status")
    _, system = await scanner.get("/v1/system")
    (service,) = system["service_states"]

    feed = status["detail"]["feed"]
    assert service["service_detail"] == status
    assert feed["as_of"] == feeds["last_full_sync"] == feeds["groups"][0]["last_sync"]
    assert datetime.fromisoformat(feed["as_of"]) <= datetime.now(UTC)
    assert "demonstration" in feed["problem"]
    assert status["message"] == feed["problem"] == feeds["problem"]
    assert feed["records"] == sum(group["record_count"] for group in feeds["groups"]) > 0
    assert feeds["groups"][0]["covered_packages"]


async def test_the_policy_spec_names_what_a_bundle_may_ask(scanner: Client) -> None:
    status, gates = await scanner.get("/v1/system/policy_spec")
    assert status == 200
    engine = {
        gate["name"]: {trigger["name"]: trigger for trigger in gate["triggers"]}
        for gate in recorded("v1-system-policyspec")
    }
    for gate in gates:
        assert {*gate} == {*recorded("v1-system-policyspec")[0]}
        for trigger in gate["triggers"]:
            known = engine[gate["name"]][trigger["name"]]
            required = {one["name"] for one in known["parameters"] if one["required"]}
            names = {one["name"] for one in known["parameters"]}
            assert {*trigger} == {*known}
            assert {one["name"] for one in trigger["parameters"]} <= names
            assert {one["name"] for one in trigger["parameters"] if one["required"]} >= required


async def test_a_list_of_more_images_than_a_page_is_whole(
    open_scanner: Open, fake_syft: Callable[[str], str], registry: FakeRegistry
) -> None:
    scanner = await open_scanner(path=fake_syft("sleep 600"))
    made = [debian_image(NETBASE, config={"User": f"u{number}"}) for number in range(230)]
    for number, image in enumerate(made):
        status, _ = await scanner.submit(registry.put(image, f"team/app:{number}"), image.digest)
        assert status == 200

    status, listed = await scanner.get("/v1/images")
    assert status == 200
    assert sorted(one["imageDigest"] for one in listed) == sorted(one.digest for one in made)
    times = [one["created_at"] for one in listed]
    assert times == sorted(times, reverse=True)
    assert (await scanner.get("/v1/images", analysis_status="analyzed")) == (200, [])
