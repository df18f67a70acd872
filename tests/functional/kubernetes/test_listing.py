"""Lists of whole objects: what is too much, forgotten on the way, or no list at all."""

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from aiohttp import web

from shared.adapters.kubernetes.access import ApiServer
from shared.adapters.kubernetes.cluster import KubernetesCluster
from shared.adapters.kubernetes.failures import Expired, TooLarge
from shared.adapters.kubernetes.limits import (
    MAX_BODY_BYTES,
    MAX_CONTINUE,
    MAX_LISTINGS,
    MAX_PODS_PAGE,
    Pace,
)
from shared.adapters.kubernetes.listing import Listing, PageOf
from shared.adapters.kubernetes.wire import Wire
from shared.domain.errors import ClusterUnreachable
from tests.fakes.kubernetes import FakeKubernetes, answers, sends

PACE = Pace(answer=30.0)


@pytest.fixture
async def opened(cluster: FakeKubernetes, token: Path) -> AsyncIterator[KubernetesCluster]:
    server = ApiServer(cluster.url, token)
    async with KubernetesCluster(server=server, pace=PACE) as found:
        yield found


async def pods(opened: KubernetesCluster) -> list[str]:
    return [each.name for page in [page async for page in opened.pods()] for each in page]


def pods_there(cluster: FakeKubernetes, number: int) -> list[str]:
    names = [f"p{at:04}" for at in range(number)]
    for name in names:
        cluster.lists.pod(name, "a:1")
    return names


def a_list(**changes: Any) -> bytes:
    whole = {"kind": "PodList", "metadata": {}, "items": [{"metadata": {"name": "a"}}]}
    return json.dumps(whole | changes).encode()


async def test_pods_that_have_ended_are_not_even_sent(
    cluster: FakeKubernetes, opened: KubernetesCluster
) -> None:
    """A cluster of Jobs has ten times as many of them."""
    await pods(opened)
    (asked,) = cluster.lists.asked
    assert asked.query == {
        "fieldSelector": "status.phase!=Succeeded,status.phase!=Failed",
        "limit": str(MAX_PODS_PAGE),
    }


async def test_what_a_proxy_sends_all_the_same_is_not_told(
    cluster: FakeKubernetes, opened: KubernetesCluster
) -> None:
    ended = {"metadata": {"name": "ended"}, "status": {"phase": "Succeeded"}}
    runs = {"metadata": {"name": "runs"}, "status": {"phase": "Running"}}
    cluster.faults["list pods"] = sends(a_list(items=[ended, runs]))
    assert await pods(opened) == ["runs"]


async def test_what_an_author_wrote_comes_with_the_pod(
    cluster: FakeKubernetes, opened: KubernetesCluster
) -> None:
    cluster.lists.pod("web", "a:1", labels={"pci": "true"}, annotations={"owner": "ada"})
    ((pod,),) = [page async for page in opened.pods()]
    assert (dict(pod.labels), dict(pod.annotations)) == (
        {"app": "web", "pci": "true"},
        {"owner": "ada"},
    )


async def test_each_image_place_of_a_pod_is_told(
    cluster: FakeKubernetes, opened: KubernetesCluster
) -> None:
    spec = {
        "initContainers": [{"name": "i", "image": "init:1"}],
        "ephemeralContainers": [{"name": "e", "image": "debug:1"}, {"name": "without"}],
        "volumes": [{"name": "v", "image": {"reference": "data:1"}}, {"name": "w", "image": {}}],
    }
    cluster.lists.pod("web", "a:1", spec=spec)
    ((pod,),) = [page async for page in opened.pods()]
    assert set(pod.images) == {"a:1", "init:1", "debug:1", "data:1"}


async def test_what_has_no_labels_has_none_however_that_is_said(
    cluster: FakeKubernetes, opened: KubernetesCluster
) -> None:
    bare = {"metadata": {"name": "bare"}}
    null = {"metadata": {"name": "null", "labels": None, "annotations": None}}
    cluster.faults["list pods"] = sends(a_list(items=[bare, null]))
    cluster.faults["list nodes"] = sends(a_list(items=[bare, null], kind="NodeList"))
    (pods,) = [page async for page in opened.pods()]
    assert [(pod.labels, pod.annotations) for pod in pods] == [({}, {})] * 2
    (nodes,) = [page async for page in opened.nodes()]
    assert [node.platform for node in nodes] == ["", ""]


async def test_where_the_api_server_forgot_what_it_told_it_is_told_again(
    cluster: FakeKubernetes, opened: KubernetesCluster
) -> None:
    names = pods_there(cluster, 2 * MAX_PODS_PAGE + 1)
    cluster.lists.forgets_after = 1
    told = await pods(opened)
    assert told == names[: 2 * MAX_PODS_PAGE] + names
    assert cluster.lists.count("pods") == 2


async def test_one_that_forgets_each_time_is_not_asked_for_ever(
    cluster: FakeKubernetes, opened: KubernetesCluster
) -> None:
    asked = 0

    async def forgets(http: web.Request) -> web.StreamResponse:
        nonlocal asked
        asked += 1
        return await answers(410)(http)

    cluster.faults["list pods"] = forgets
    with pytest.raises(Expired):
        await pods(opened)
    assert asked == MAX_LISTINGS


async def test_where_much_is_written_into_pods_a_page_has_fewer(
    cluster: FakeKubernetes, opened: KubernetesCluster
) -> None:
    names = pods_there(cluster, MAX_PODS_PAGE)
    cluster.lists.padding = MAX_BODY_BYTES // (MAX_PODS_PAGE // 2)
    assert await pods(opened) == names
    limits = [each.query["limit"] for each in cluster.lists.asked]
    assert limits == ["100", *["25"] * 4]


async def test_where_very_much_is_written_into_nodes_each_comes_by_itself(
    cluster: FakeKubernetes, opened: KubernetesCluster
) -> None:
    for name in ("a", "b", "c", "d"):
        cluster.lists.node(name, "linux/amd64")
    cluster.lists.padding = MAX_BODY_BYTES * 3 // 8
    found = [node.platform async for page in opened.nodes() for node in page]
    assert found == ["linux/amd64"] * 4
    limits = [each.query["limit"] for each in cluster.lists.asked]
    assert limits == ["50", "12", "3", "1", "1", "1", "1"]


async def test_one_pod_that_is_too_large_ends_it(
    cluster: FakeKubernetes, opened: KubernetesCluster
) -> None:
    pods_there(cluster, 1)
    cluster.lists.padding = MAX_BODY_BYTES
    with pytest.raises(TooLarge, match=f"more than {MAX_BODY_BYTES} bytes"):
        await pods(opened)
    assert cluster.lists.asked[-1].query["limit"] == "1"


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"{", "what is no JSON"),
        (b"\xff", "what is no JSON"),
        (b"[" * 100_000, "what is no JSON"),
        (b'{"kind":"\xff"}', "what is no JSON"),
        (b'{"kind":"PodList","more":' + b"[" * 100_000, "what is no JSON"),
        (a_list(items=[{"metadata": {"name": 5}}]), "what is no JSON of the form"),
        (a_list(kind="NodeList"), "something else than a PodList"),
        (a_list(metadata={"continue": "x" * (MAX_CONTINUE + 1)}), "continue token is too long"),
    ],
)
async def test_what_is_no_list_of_pods_is_said(
    cluster: FakeKubernetes, opened: KubernetesCluster, body: bytes, words: str
) -> None:
    cluster.faults["list pods"] = sends(body)
    with pytest.raises(ClusterUnreachable, match=f"'list pods' with .*{words}.*; is it one"):
        await pods(opened)


async def test_no_items_are_none(cluster: FakeKubernetes, opened: KubernetesCluster) -> None:
    """Go writes null for an empty list."""
    cluster.faults["list pods"] = sends(a_list(items=None))
    assert await pods(opened) == []


class Pod(msgspec.Struct):
    """Of which nothing is wanted."""


async def test_an_answer_without_an_end_is_ended(cluster: FakeKubernetes, token: Path) -> None:
    asked = 0

    async def another(http: web.Request) -> web.StreamResponse:
        nonlocal asked
        asked += 1
        body = a_list(metadata={"continue": str(asked)})
        return web.Response(body=body, content_type="application/json")

    cluster.faults["list pods"] = another
    async with Wire(server=ApiServer(cluster.url, token), pace=PACE, advice="") as wire:
        listing = Listing(
            wire=wire,
            path="/api/v1/pods",
            kind="PodList",
            doing="list pods",
            decoder=msgspec.json.Decoder(PageOf[Pod]),
            limit=1,
            most_pages=7,
        )
        with pytest.raises(ClusterUnreachable, match="7 pages came, and there are more"):
            [page async for page in listing.pages()]
    assert asked == 7


async def test_a_cluster_that_has_no_name_is_none(
    cluster: FakeKubernetes, opened: KubernetesCluster
) -> None:
    whole = {"kind": "PartialObjectMetadata", "metadata": {"name": "kube-system"}}
    cluster.faults["get"] = sends(json.dumps(whole).encode())
    with pytest.raises(ClusterUnreachable, match="says no uid of the namespace kube-system"):
        await opened.identity()


@pytest.mark.parametrize(
    ("told", "labels", "platform"),
    [
        (
            "linux/arm64",
            {"kubernetes.io/os": "linux", "kubernetes.io/arch": "amd64"},
            "linux/arm64",
        ),
        ("", {"kubernetes.io/os": "linux", "kubernetes.io/arch": "amd64"}, "linux/amd64"),
        ("", {}, ""),
        ("linux/", {"kubernetes.io/os": "linux", "kubernetes.io/arch": "amd64"}, ""),
        ("/arm64", {"kubernetes.io/os": "linux", "kubernetes.io/arch": "amd64"}, ""),
    ],
)
async def test_a_kubelets_word_goes_before_labels_that_more_people_may_write(
    cluster: FakeKubernetes,
    opened: KubernetesCluster,
    told: str,
    labels: dict[str, str],
    platform: str,
) -> None:
    cluster.lists.node("one", told, labels=labels)
    ((node,),) = [page async for page in opened.nodes()]
    assert node.platform == platform
