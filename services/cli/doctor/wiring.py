"""Whom `imagegate doctor` asks, put together from what the environment names."""

from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

from services.cli.backend import open_ops
from services.cli.doctor.checkup import Asked
from services.cli.doctor.remarks import Remark, unasked
from services.cli.kubernetes.wiring import kubernetes_server
from services.cli.ops_client import OpsUnavailable
from services.cli.settings import CliSettings, ServersMissing
from services.console.view import OpsView
from shared.adapters.kubernetes.inspection import KubernetesInspection
from shared.adapters.rules_file.loading import load_rules
from shared.adapters.signatures import load_ring
from shared.domain.errors import InvalidSettings
from shared.domain.rules import Rules
from shared.ports.inspection import Inspection


@asynccontextmanager
async def asked_of(
    settings: CliSettings, *, kubeconfig: Path | None, context: str, namespace: str
) -> AsyncIterator[Asked]:
    """What can be asked with these settings; the rest is said to be out of reach."""
    async with AsyncExitStack() as stack:
        yield Asked(
            cluster=await _cluster(stack, settings, kubeconfig=kubeconfig, context=context),
            ops=await _ops(stack, settings),
            rules=_rules(settings),
            keys=_keys(settings),
            urls=tuple(
                url
                for url in (settings.redis_url.value, settings.amqp_url.value, settings.anchore_url)
                if url
            ),
            namespace=namespace,
            pinning=settings.imagegate_pin != "none",
            called=settings.imagegate_cluster,
        )


async def _cluster(
    stack: AsyncExitStack, settings: CliSettings, *, kubeconfig: Path | None, context: str
) -> Inspection | Remark:
    try:
        server = kubernetes_server(settings, kubeconfig=kubeconfig, context=context)
    except InvalidSettings as error:
        if kubeconfig is not None or context:
            raise
        return unasked("kubernetes", str(error), "")
    return await stack.enter_async_context(KubernetesInspection(server=server))


async def _ops(stack: AsyncExitStack, settings: CliSettings) -> OpsView | Remark:
    try:
        return await stack.enter_async_context(open_ops(settings))
    except (OpsUnavailable, ServersMissing) as error:
        return unasked("servers", str(error), "")


def _rules(settings: CliSettings) -> Callable[[], Rules] | Remark:
    file = settings.imagegate_rules
    if file is None:
        return unasked("rules", "no rules file is named", "set IMAGEGATE_RULES to it")
    return lambda: load_rules(file)


def _keys(settings: CliSettings) -> Callable[[], str] | Remark:
    folder = settings.ring_folder
    if settings.imagegate_keys is None and not folder.exists():
        return unasked("keys", "no folder of keys is named", "set IMAGEGATE_KEYS to it")

    def look() -> str:
        load_ring(folder)
        return f"the public keys in {folder} can be read"

    return look
