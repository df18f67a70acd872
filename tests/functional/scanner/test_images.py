"""Images: submitted, analysed by the real Syft, shown in Engine's shapes."""

import asyncio
import base64
import gzip
import io
from pathlib import Path
from typing import Any

import pytest

from tests.fakes.anchore_replay import recording
from tests.fakes.images import index_of, tiny_image
from tests.fakes.registry import FakeRegistry, answer
from tests.functional.scanner.conftest import Client, Open, waiting_for
from tests.functional.scanner.images import BASE_FILES, EXPAT, NETBASE, debian_image
from tests.waiting import eventually

GOOD = debian_image(BASE_FILES, NETBASE, history=["ADD rootfs.tar / # buildkit", "USER 65532"])


def shape(value: Any) -> Any:
    """Keys and kinds of a JSON value, without what it says."""
    if isinstance(value, dict):
        return {key: shape(part) for key, part in value.items()}
    if isinstance(value, list):
        return [shape(value[0])] if value else []
    return type(value).__name__


async def test_a_new_image_is_answered_at_once_and_analysed_behind_it(
    real_scanner: Client, registry: FakeRegistry
) -> None:
    reference = registry.put(GOOD, "team/app:1.0")

    status, body = await real_scanner.submit(reference, GOOD.digest)
    assert (status, body[0]["analysis_status"]) == (200, "not_analyzed")
    assert shape(body) == shape(recording("post-image-again-after-failure").body)
    record = await real_scanner.finished(GOOD.digest)
    assert record["analysis_status"] == "analyzed"
    assert shape([record]) == shape(recording("image-get-analyzed-bad").body)
    metadata = record["image_content"]["metadata"]
    assert (metadata["distro"], metadata["distro_version"]) == ("debian", "12")
    assert (metadata["dockerfile_mode"], metadata["layer_count"]) == ("Guessed", 1)
    assert metadata["image_size"] > 0
    detail = record["image_detail"][0]
    assert base64.b64decode(detail["dockerfile"]).decode().splitlines() == [
        "FROM scratch",
        "ADD rootfs.tar /",
        "USER 65532",
    ]
    assert (detail["registry"], detail["repo"], detail["tag"]) == (
        registry.host,
        "team/app",
        "1.0",
    )
    assert detail["fulldigest"] == f"{registry.host}/team/app@{GOOD.digest}"
    assert f"sha256:{detail['imageId']}" in GOOD.blobs


async def test_a_tag_alone_is_resolved(scanner: Client, registry: FakeRegistry) -> None:
    reference = registry.put(GOOD, "team/app:1.0")

    status, body = await scanner.submit(reference)
    assert (status, body[0]["imageDigest"]) == (200, GOOD.digest)


async def test_the_same_image_is_pulled_and_analysed_once(
    scanner: Client, registry: FakeRegistry
) -> None:
    reference = await scanner.analysed(registry, GOOD)
    asked = len(registry.requests)

    for _ in range(3):
        status, body = await scanner.submit(reference, GOOD.digest)
        assert (status, body[0]["analysis_status"]) == (200, "analyzed")
    assert len(registry.requests) == asked


async def test_another_tag_of_a_known_digest_is_added_without_a_new_analysis(
    scanner: Client, registry: FakeRegistry
) -> None:
    await scanner.analysed(registry, GOOD)
    blobs = len(registry.asked("blobs"))
    other = registry.put(GOOD, "team/app:latest")

    status, body = await scanner.submit(other, GOOD.digest)
    assert (status, body[0]["analysis_status"]) == (200, "analyzed")
    assert [detail["tag"] for detail in body[0]["image_detail"]] == ["1.0", "latest"]
    assert len(registry.asked("blobs")) == blobs


async def test_force_analyses_again_and_keeps_the_old_times(
    scanner: Client, registry: FakeRegistry
) -> None:
    reference = await scanner.analysed(registry, GOOD)
    before = await scanner.finished(GOOD.digest)

    status, body = await scanner.submit(reference, GOOD.digest, force=True)
    assert (status, body[0]["analysis_status"]) == (200, "not_analyzed")
    assert body[0]["analyzed_at"] == before["analyzed_at"]
    assert (await scanner.finished(GOOD.digest))["analysis_status"] == "analyzed"
    assert len(registry.asked("blobs")) == 4


@pytest.mark.parametrize("docker", [False, True])
async def test_an_index_fails_its_analysis_with_what_to_do(
    scanner: Client, registry: FakeRegistry, docker: bool
) -> None:
    index = index_of((GOOD, "linux/amd64"), docker=docker)

    reason = await scanner.failed(registry, index)
    assert "submit the digest of a platform's manifest" in reason


async def test_an_image_in_dockers_own_format_is_analysed(
    real_scanner: Client, registry: FakeRegistry
) -> None:
    await real_scanner.analysed(registry, tiny_image(docker=True))


async def test_after_a_failure_a_plain_post_begins_anew(
    scanner: Client, registry: FakeRegistry
) -> None:
    registry.fault("blobs", answer(500))
    reason = await scanner.failed(registry, GOOD)
    assert "could not be pulled" in reason
    registry.heal()
    reference = registry.put(GOOD, "team/app:1.0")

    status, body = await scanner.submit(reference, GOOD.digest)
    assert (status, body[0]["analysis_status"]) == (200, "not_analyzed")
    assert (await scanner.finished(GOOD.digest))["analysis_status"] == "analyzed"


async def test_a_failure_is_told_as_an_event_in_engines_shape(
    scanner: Client, registry: FakeRegistry
) -> None:
    registry.fault("blobs", answer(404))
    await scanner.failed(registry, GOOD)

    status, body = await scanner.get("/v1/events", level="error")
    theirs = shape(recording("events-by-resource-tag").body)
    assert status == 200
    assert shape(body) == theirs
    assert (await scanner.get("/v1/events", level="info"))[1]["results"] == []
    assert (await scanner.get("/v1/events", resource_id="x/y:1"))[1]["results"] == []


@pytest.mark.parametrize(
    ("fault", "code"),
    [
        (answer(404, "MANIFEST_UNKNOWN"), "REGISTRY_IMAGE_NOT_FOUND"),
        (answer(401, "UNAUTHORIZED"), "REGISTRY_PERMISSION_DENIED"),
        (answer(403, "DENIED"), "REGISTRY_PERMISSION_DENIED"),
        (answer(503), "REGISTRY_NOT_ACCESSIBLE"),
    ],
)
async def test_what_the_registry_says_becomes_engines_error_codes(
    scanner: Client, registry: FakeRegistry, fault: Any, code: str
) -> None:
    reference = registry.put(GOOD, "team/app:1.0")
    registry.fault("manifests", fault)

    recorded = recording("post-image-digest-unknown").body
    for digest in (None, GOOD.digest):
        status, body = await scanner.submit(reference, digest)
        assert (status, body["httpcode"], body["detail"]["error_codes"]) == (400, 400, [code])
        assert (shape(body), body["message"]) == (shape(recorded), recorded["message"])
    assert (await scanner.get("/v1/images"))[1] == []


async def test_a_registry_that_is_not_there_is_not_accessible(
    scanner: Client, registry: FakeRegistry
) -> None:
    reference = registry.put(GOOD, "team/app:1.0")
    await registry.__aexit__(None, None, None)

    status, body = await scanner.submit(reference)
    assert (status, body["detail"]["error_codes"]) == (400, ["REGISTRY_NOT_ACCESSIBLE"])


async def test_a_registry_that_the_rules_refuse_has_no_passing_error_code(scanner: Client) -> None:
    status, body = await scanner.call(
        "POST", "/v1/images", json={"tag": "169.254.169.254/latest/meta-data:1"}
    )

    assert (status, body["detail"]["error_codes"]) == (400, [])
    assert "never asked" in body["detail"]["raw_exception_message"]


async def test_images_are_listed_and_filtered(scanner: Client, registry: FakeRegistry) -> None:
    first = await scanner.analysed(registry, GOOD)
    second = debian_image(BASE_FILES, EXPAT)
    await scanner.analysed(registry, second, "team/other:1.0")

    status, body = await scanner.get("/v1/images/")
    assert (status, {one["imageDigest"] for one in body}) == (200, {GOOD.digest, second.digest})
    _, body = await scanner.get("/v1/images", fulltag=first.tagged)
    assert [one["imageDigest"] for one in body] == [GOOD.digest]
    assert (await scanner.get("/v1/images", analysis_status="analysis_failed")) == (200, [])
    status, body = await scanner.get("/v1/images", fulltag=f"{registry.host}/team/nosuch:1")
    assert (status, body["message"]) == (404, "image data not found in DB")
    status, body = await scanner.get("/v1/images", analysis_status="bogus")
    assert (status, body["status"]) == (400, 400)


async def test_a_tag_that_moved_names_the_newest_digest(
    scanner: Client, registry: FakeRegistry
) -> None:
    await scanner.analysed(registry, GOOD)
    moved = debian_image(BASE_FILES)
    reference = await scanner.analysed(registry, moved)

    _, body = await scanner.get("/v1/images", fulltag=reference.tagged)
    assert [one["imageDigest"] for one in body] == [moved.digest]


@pytest.mark.parametrize("digest", ["notadigest", "sha256:" + "0" * 64])
async def test_an_unknown_image_is_told_as_engine_tells_it(scanner: Client, digest: str) -> None:
    status, body = await scanner.get(f"/v1/images/{digest}")

    recorded = recording("images-get-unknown-digest-404")
    assert (status, body) == (recorded.status, recorded.body)


async def test_a_dockerfile_is_the_actual_one_and_may_be_given_again(
    scanner: Client, registry: FakeRegistry
) -> None:
    reference = await scanner.analysed(registry, GOOD, dockerfile=b"FROM debian:12\n")
    record = await scanner.finished(GOOD.digest)
    assert record["image_content"]["metadata"]["dockerfile_mode"] == "Actual"
    assert base64.b64decode(record["image_detail"][0]["dockerfile"]) == b"FROM debian:12\n"

    status, _ = await scanner.submit(reference, GOOD.digest, dockerfile=b"FROM debian:12\n")
    assert status == 200
    status, body = await scanner.submit(reference, GOOD.digest, dockerfile=b"FROM debian\n")
    recorded = recording("post-image-dockerfile-existing-no-force")
    assert (status, body["message"]) == (recorded.status, recorded.body["message"])
    status, _ = await scanner.submit(
        reference, GOOD.digest, dockerfile=b"FROM debian\n", force=True
    )
    assert status == 200


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"{not json", "not valid JSON"),
        (b"[1]", "object"),
        (b"", "not valid JSON"),
        (b"[" * 100_000, "expected `object`"),
        (b'{"source": ' + b"[" * 100_000, "not valid JSON"),
        (b'{"tag": "\xff"}', "JSON"),
        (b'{"tag": 5}', "tag"),
        (b"{}", "Must include"),
        (b'{"tag": ""}', "Must include"),
        (b'{"digest": "sha256:0"}', "Must include"),
        (b'{"tag": "a/b:1:2@@"}', "cannot be read"),
        (b'{"tag": "a/b:1", "digest": "sha256:abc"}', "64 lower-case hex digits"),
        (b'{"tag": "a/b:1", "dockerfile": "FROM debian"}', "base64"),
        (b'{"tag": "a/b:1", "dockerfile": "A"}', "base64"),
        (b'{"source": {"tag": {"pullstring": "a/b:1"}}}', "source"),
    ],
)
async def test_a_request_that_does_not_fit_is_refused(
    scanner: Client, body: bytes, said: str
) -> None:
    status, answered = await scanner.call(
        "POST", "/v1/images", data=body, headers={"Content-Type": "application/json"}
    )

    assert status == 400
    assert said.lower() in str(answered).lower()


async def test_a_digest_where_a_tag_belongs_is_refused_as_engine_refuses_it(
    scanner: Client,
) -> None:
    tag = f"a/b@sha256:{'0' * 64}"

    status, body = await scanner.call("POST", "/v1/images", json={"tag": tag})
    assert (status, body["message"]) == (400, "Must have tag-based pull string")
    assert body["detail"]["invalid_value"] == tag


async def test_a_body_that_is_packed_large_or_no_json_is_refused(scanner: Client) -> None:
    plain = {"Content-Type": "text/plain"}
    packed = {"Content-Type": "application/json", "Content-Encoding": "gzip"}
    json_type = {"Content-Type": "application/json"}

    assert (await scanner.call("POST", "/v1/images", data=b"{}", headers=plain))[0] == 415
    assert (await scanner.call("POST", "/v1/images", data=gzip.compress(b"{}"), headers=packed))[
        0
    ] == 415
    large = io.BytesIO(b'{"tag": "' + b"a" * (3 * 1024**2) + b'"}')
    assert (await scanner.call("POST", "/v1/images", data=large, headers=json_type))[0] == 413


async def test_two_analyses_run_at_a_time_and_the_rest_waits(
    open_scanner: Open, registry: FakeRegistry, fake_syft: Any, tmp_path: Path
) -> None:
    go = tmp_path / "go"
    scanner = await open_scanner(path=fake_syft(waiting_for(go, "echo '{\"artifacts\": []}'")))
    images = [debian_image(BASE_FILES, config={"User": f"u{number}"}) for number in range(4)]
    for number, image in enumerate(images):
        await scanner.submit(registry.put(image, f"team/app:{number}"), image.digest)

    async def states() -> list[str]:
        _, listed = await scanner.get("/v1/images")
        return [one["analysis_status"] for one in listed]

    async def two_are_analysed() -> bool:
        return (await states()).count("analyzing") == 2

    await eventually(two_are_analysed, within=60)
    await asyncio.sleep(0.5)  # a third would come while these run
    assert await two_are_analysed()
    go.touch()
    while {*(now := await states())} != {"analyzed"}:
        assert now.count("analyzing") <= 2
