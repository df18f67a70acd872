"""A cluster as `imagegate doctor` looks at it: nothing is changed by that."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path

import msgspec
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from shared.adapters.kubernetes.access import ApiServer
from shared.adapters.kubernetes.inspection import KubernetesInspection
from shared.adapters.kubernetes.limits import Pace
from shared.domain.errors import ClusterMisconfigured, ClusterUnreachable
from shared.ports.inspection import TrialPod
from tests.fakes.kubernetes import TOKEN

PODS = "/api/v1/namespaces/team/pods"
POD = b'{"kind":"Pod"}'
FORBIDDEN = b'{"kind":"Status","code":403,"message":"pods is forbidden"}'


class Asked:
    """What an API server was asked, and what it answers."""

    def __init__(self) -> None:
        self.requests: list[tuple[str, str, dict[str, str], bytes]] = []
        self.status = 200
        self.body = b"{}"
        self.headers: dict[str, str] = {}

    async def answer(self, http: web.Request) -> web.Response:
        assert http.headers["Authorization"] == f"Bearer {TOKEN}"
        self.requests.append((http.method, http.path, dict(http.query), await http.read()))
        return web.Response(
            status=self.status,
            body=self.body,
            content_type="application/json",
            headers=self.headers,
        )


@pytest.fixture
def api() -> Asked:
    return Asked()


@pytest.fixture
async def cluster(api: Asked, token: Path) -> AsyncIterator[KubernetesInspection]:
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", api.answer)
    async with TestServer(app) as server:
        at = ApiServer(str(server.make_url("")).rstrip("/"), token)
        async with KubernetesInspection(server=at, pace=Pace(answer=30.0)) as opened:
            yield opened


@pytest.mark.parametrize(
    ("status", "body", "became"),
    [
        (201, POD, TrialPod(201, "")),
        (403, FORBIDDEN, TrialPod(403, "pods is forbidden")),
        (500, b"<html>", TrialPod(500, "no Status that can be read")),
        (502, b"[" * 100_000, TrialPod(502, "no Status that can be read")),
    ],
)
async def test_a_pod_is_tried_and_never_made(
    api: Asked, cluster: KubernetesInspection, status: int, body: bytes, became: TrialPod
) -> None:
    api.status, api.body = status, body
    assert await cluster.try_pod("team", POD) == became
    assert api.requests == [("POST", PODS, {"dryRun": "All"}, POD)]


async def test_the_version_is_what_the_api_server_calls_itself(
    api: Asked, cluster: KubernetesInspection
) -> None:
    api.body = b'{"major":"1","minor":"36","gitVersion":"v1.36.3"}'
    assert await cluster.version() == "v1.36.3"
    api.body = b"<html>"
    with pytest.raises(ClusterUnreachable, match="what is no version; is it one"):
        await cluster.version()


@pytest.mark.parametrize("seconds", [-90, 90])
async def test_a_clock_that_differs_is_told_with_its_sign(
    api: Asked, cluster: KubernetesInspection, seconds: int
) -> None:
    """To a few seconds here: the answer may be on its way for long."""
    theirs = datetime.now(UTC) - timedelta(seconds=seconds)
    api.headers = {"Date": format_datetime(theirs, usegmt=True)}
    assert seconds - 2 <= await cluster.behind() <= seconds + 30


@pytest.mark.parametrize("date", ["", "yesterday"])
async def test_a_clock_that_is_not_told_is_taken_for_ours(
    api: Asked, cluster: KubernetesInspection, date: str
) -> None:
    api.headers = {"Date": date}
    assert await cluster.behind() == 0.0


class Named(msgspec.Struct):
    """Something with a kind."""

    kind: str = ""


async def test_all_of_a_listing_come_and_a_missing_right_is_named(
    api: Asked, cluster: KubernetesInspection
) -> None:
    api.body = b'{"kind":"RoleList","metadata":{},"items":[{"kind":"a"},{"kind":"b"}]}'
    path = "/apis/rbac.authorization.k8s.io/v1/roles"
    assert [each.kind for each in await cluster.all(path, "Role", Named)] == ["a", "b"]
    api.status, api.body = 403, FORBIDDEN
    with pytest.raises(ClusterMisconfigured, match=r"'list roles'.*use a kubeconfig whose user"):
        await cluster.all(path, "Role", Named)
    assert {method for method, *_ in api.requests} == {"GET"}
