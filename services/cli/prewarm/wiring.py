"""What `imagegate prewarm` stands on: the store and prewarm's lane, a cluster, registries."""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import msgspec

from services.cli.backend import socket_of_up
from services.cli.kubernetes.wiring import kubernetes_server
from services.cli.ops_client import OpsClient
from services.cli.prewarm.flights import Asks
from services.cli.prewarm.known import Records
from services.cli.settings import CliSettings
from services.cli.wiring import CONNECT
from services.webhook.catalogue import Image, Need
from services.webhook.requests import Asked, Requests
from shared.adapters.kubernetes.cluster import KubernetesCluster
from shared.adapters.kubernetes.workloads import KubernetesWorkloads
from shared.adapters.rabbitmq.queue import RabbitQueue
from shared.adapters.redis_store.claims import RedisRequestClaims
from shared.adapters.redis_store.exceptions import RedisExceptionStore
from shared.adapters.redis_store.links import RedisLinks
from shared.adapters.redis_store.store import RedisVerdictStore
from shared.adapters.redis_store.turns import WORK_LIMIT
from shared.adapters.registry.client import RegistryClient
from shared.domain.rules import Rules
from shared.domain.step import Lane
from shared.domain.verdict import Subject
from shared.domain.why import Why
from shared.ports.cluster import Cluster
from shared.ports.tags import TagList
from shared.ports.workloads import Workloads
from shared.runtime.clock import SystemClock
from shared.runtime.settings import environ_of_others

ADVICE = (
    "whoever asks must be allowed to list pods and namespaces of the whole cluster, as the "
    "ClusterRole view allows; another context may be (--context)"
)


class Backend(msgspec.Struct, frozen=True):
    """Who is asked about images."""

    records: Records
    asks: Asks
    exceptions: Mapping[str, bytes]
    """The signed ones, sealed, by their ids."""


class Asking(msgspec.Struct, frozen=True):
    """`Asks` of the queue itself."""

    requests: Requests

    async def ask(self, image: Image, subjects: Sequence[Subject], *, why: Why) -> Asked:
        """See `Asks`."""
        return await self.requests.ask(
            image, Need.REQUEST, subjects=subjects, lane=Lane.PREWARM, why=why
        )


class OfUp(msgspec.Struct, frozen=True):
    """Both, of a running `imagegate up`."""

    client: OpsClient

    async def read(self, keys: Sequence[str]) -> list[bytes | None]:
        """See `Records`."""
        return [await self.client.sealed_record(key) for key in keys]

    async def ask(self, image: Image, subjects: Sequence[Subject], *, why: Why) -> Asked:
        """See `Asks`."""
        del subjects
        return await self.client.prewarm(str(image.reference), image.question, why=why)


class ClusterParts(msgspec.Struct, frozen=True):
    """One cluster, open."""

    host: str
    cluster: Cluster
    workloads: Workloads


@asynccontextmanager
async def open_backend(settings: CliSettings) -> AsyncIterator[Backend]:
    """Redis and RabbitMQ where they are named, else a running `imagegate up`. Raises
    OpsUnavailable where there is neither, StoreError and QueueError where they do not answer."""
    if settings.names_servers():
        async with _direct(settings) as backend:
            yield backend
        return
    async with socket_of_up(settings, "REDIS_URL and AMQP_URL to have images judged") as client:
        of_up = OfUp(client)
        yield Backend(of_up, of_up, await client.sealed_exceptions())


@asynccontextmanager
async def _direct(settings: CliSettings) -> AsyncIterator[Backend]:
    clock = SystemClock()
    async with AsyncExitStack() as stack:
        links = await stack.enter_async_context(
            RedisLinks(url=settings.redis_url.value, ca_file=settings.redis_ca, limit=WORK_LIMIT)
        )
        queue = await stack.enter_async_context(
            RabbitQueue(settings.amqp_url.value, clock=clock, publishes=(Lane.PREWARM,)).connect()
        )
        store = RedisVerdictStore(links=links)
        await store.ping()
        await queue.connected(timeout=CONNECT)
        requests = Requests(claims=RedisRequestClaims(links=links), queue=queue, clock=clock)
        exceptions = await RedisExceptionStore(links=links).all()
        yield Backend(store, Asking(requests), exceptions)


@asynccontextmanager
async def open_cluster(
    settings: CliSettings, *, kubeconfig: Path | None, context: str
) -> AsyncIterator[ClusterParts]:
    """The one that a person means. Raises InvalidSettings."""
    server = kubernetes_server(settings, kubeconfig=kubeconfig, context=context)
    async with (
        KubernetesCluster(server=server, advice=ADVICE) as cluster,
        KubernetesWorkloads(server=server) as workloads,
    ):
        yield ClusterParts(server.host, cluster, workloads)


@asynccontextmanager
async def open_registries(rules: Rules) -> AsyncIterator[TagList]:
    """Those that images name, with the logins of the rules."""
    async with RegistryClient(
        rules=lambda: rules, clock=SystemClock(), helper_environ=environ_of_others()
    ) as client:
        yield client
