"""Lists of namespaces: page by page, and what is no list, too much, or without end."""

import json
from pathlib import Path

import pytest
from aiohttp import web

from shared.adapters.kubernetes import limits
from shared.adapters.kubernetes.limits import Pace
from tests.fakes.kubernetes import FakeKubernetes, sends
from tests.functional.kubernetes.conftest import followed
from tests.waiting import eventually


async def test_five_thousand_namespaces_come_in_pages(cluster: FakeKubernetes, token: Path) -> None:
    for number in range(5_000):
        cluster.put(f"team-{number}", {"tier": str(number)})
    async with followed(cluster, token, pace=Pace()) as subject:
        await subject.knows("team-4999", "4999")
        assert [subject.tier(f"team-{number}") for number in range(5_000)] == [
            str(number) for number in range(5_000)
        ]
        told = subject.namespaces.followed()
        assert told is not None
        assert told.known == 5_000
        assert cluster.count("list") == 5_000 / limits.MAX_PAGE
        cluster.put("team-77", {"tier": "changed"})
        await subject.knows("team-77", "changed")


@pytest.mark.parametrize(
    ("namespaces", "written"), [(60, 200_000), (4, 3 * limits.MAX_BODY_BYTES // 8)]
)
async def test_pages_are_smaller_where_somebody_wrote_very_much_into_namespaces(
    namespaces: int, written: int, cluster: FakeKubernetes, token: Path
) -> None:
    """Else whoever may annotate some namespaces would make all of them unknown."""
    for number in range(namespaces):
        cluster.put(f"team-{number}", {"tier": "prod"}, {"note": "x" * written})
    async with followed(cluster, token, pace=Pace(answer=30.0)) as subject:
        await subject.knows(f"team-{namespaces - 1}", "prod")
        assert subject.tier("team-0") == "prod"


async def test_a_namespace_that_fits_no_answer_is_not_asked_for_without_end(
    cluster: FakeKubernetes, token: Path
) -> None:
    cluster.put("team", {"tier": "prod"}, {"note": "x" * (limits.MAX_BODY_BYTES + 1)})
    pace = Pace(answer=30.0, listing=3600.0, first_pause=3600.0, last_pause=3600.0)
    async with followed(cluster, token, pace=pace) as subject:
        await eventually(lambda: subject.ends["lost"] == 1)
    # 250, 62, 15, 3, and 1 a page.
    assert cluster.count("list") == 5


async def test_a_list_is_begun_anew_when_its_next_page_is_gone(
    cluster: FakeKubernetes, token: Path
) -> None:
    for number in range(limits.MAX_PAGE + 1):
        cluster.put(f"team-{number:03}", {"tier": "prod"})

    async def forgets(http: web.Request) -> web.StreamResponse:
        if "continue" in http.query:
            cluster.faults.clear()
            cluster.put("new", {})
            cluster.compact()
        return await cluster._list(http)

    cluster.faults["list"] = forgets
    async with followed(cluster, token) as subject:
        await subject.knows("new", "-")
        await subject.knows("team-250", "prod")
    assert cluster.listings == 2


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>no JSON</html>",
        b'{"kind":"NamespaceList","metadata":{"resourceVersion":"7"},"items":[]}',
        b'{"kind":"PartialObjectMetadataList","metadata":{},"items":[]}',
        b'{"kind":"PartialObjectMetadataList","metadata":{"resourceVersion":"7"},"items":null}',
        b'{"kind":"PartialObjectMetadataList","metadata":{"resourceVersion":"7"},"items":[{}]}',
        json.dumps(
            {
                "kind": "PartialObjectMetadataList",
                "metadata": {"resourceVersion": "7" * 1_000},
                "items": [],
            }
        ).encode(),
    ],
)
async def test_an_answer_that_is_no_list_makes_nothing_known(
    body: bytes, cluster: FakeKubernetes, token: Path
) -> None:
    cluster.put("team", {"tier": "prod"})
    cluster.faults["list"] = sends(body)
    async with followed(cluster, token) as subject:
        await eventually(lambda: subject.ends["lost"] >= 2)
        told = subject.namespaces.followed()
        assert told is not None
        assert told.known == 0
        assert subject.tier("team") is None
        cluster.faults.clear()
        await subject.knows("team", "prod")


async def test_a_list_without_end_is_given_up(cluster: FakeKubernetes, token: Path) -> None:
    more = {
        "kind": "PartialObjectMetadataList",
        "metadata": {"resourceVersion": "7", "continue": "7:more"},
        "items": [],
    }
    cluster.faults["list"] = sends(json.dumps(more).encode())
    pace = Pace(listing=0.3, first_pause=0.01, last_pause=0.02)
    async with followed(cluster, token, pace=pace) as subject:
        await eventually(lambda: subject.ends["lost"] >= 2)
        told = subject.namespaces.followed()
        assert told is not None
        assert told.known == 0
