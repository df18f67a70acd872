"""One look at an installation: what can be asked is asked, and what cannot is said."""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from itertools import chain
from typing import TypeVar

import msgspec

from services.cli.doctor.asking import heard
from services.cli.doctor.certificates import served_remarks
from services.cli.doctor.cluster import Seen, look_at_cluster
from services.cli.doctor.ours import (
    dependency_remarks,
    process_remarks,
    recreated_remarks,
    rules_remarks,
    status_remarks,
)
from services.cli.doctor.own import others_remarks, own_processes
from services.cli.doctor.remarks import Remark, bad, good
from services.console.view import OpsView
from shared.domain.errors import ImagegateError
from shared.domain.rules import Rules
from shared.ports.inspection import Inspection
from shared.ports.presence import Alive

DECISIONS = 2_000

Answer = TypeVar("Answer")


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """Whom a check-up asks. Where nobody can be asked: why, and what to set."""

    cluster: Inspection | Remark
    ops: OpsView | Remark
    rules: Callable[[], Rules] | Remark
    """Raises ImagegateError where the file cannot be used."""
    keys: Callable[[], str] | Remark
    """Says which public keys there are; raises as `rules` does."""
    urls: tuple[str, ...] = ()
    """Of what imagegate stands on; only the hosts are looked at."""
    namespace: str = "default"
    """Where a pod is tried."""
    pinning: bool = True
    called: str = ""
    """This cluster, by whoever asks: it counts where its pods do not tell. Empty: nobody says."""


async def checkup(asked: Asked) -> AsyncIterator[Remark]:
    """All remarks, part by part, as they come."""
    seen = Seen()
    if isinstance(asked.cluster, Remark):
        yield asked.cluster
    else:
        looking = look_at_cluster(
            asked.cluster, seen, namespace=asked.namespace, pinning=asked.pinning
        )
        async for remark in looking:
            yield remark
    if isinstance(asked.ops, Remark):
        yield asked.ops
    else:
        clusters = seen.clusters or (frozenset([asked.called]) if asked.called else None)
        async for remark in _servers(asked.ops, ready=seen.webhooks, clusters=clusters):
            yield remark
    for remark in _files(asked, seen):
        yield remark
    for remark in dependency_remarks(asked.urls, exempt=seen.exempt, known=seen.namespaces):
        yield remark


async def _servers(
    ops: OpsView, *, ready: int | None, clusters: frozenset[str] | None
) -> AsyncIterator[Remark]:
    def heard_of(alive: Sequence[Alive]) -> Iterable[Remark]:
        ours = own_processes(alive, clusters)
        return chain(
            process_remarks(ours, ready=ready),
            others_remarks(alive, clusters),
            served_remarks(ours),
        )

    for remarks in (
        await _told("servers", ops.status, status_remarks),
        await _told("processes", ops.processes, heard_of),
        await _told("decisions", lambda: ops.decisions(limit=DECISIONS), recreated_remarks),
    ):
        for remark in remarks:
            yield remark


async def _told(
    part: str,
    ask: Callable[[], Awaitable[Answer]],
    tell: Callable[[Answer], Iterable[Remark]],
) -> Iterable[Remark]:
    answer = await heard(part, ask)
    return (answer,) if isinstance(answer, Remark) else tell(answer)


def _files(asked: Asked, seen: Seen) -> Iterable[Remark]:
    if isinstance(asked.rules, Remark):
        yield asked.rules
    else:
        try:
            rules = asked.rules()
        except ImagegateError as error:
            yield bad("rules", str(error), "correct the file: `imagegate rules check` says where")
        else:
            yield from rules_remarks(rules, platforms=seen.platforms)
    if isinstance(asked.keys, Remark):
        yield asked.keys
        return
    try:
        yield good("keys", asked.keys())
    except ImagegateError as error:
        yield bad("keys", str(error), "copy the workers' *.pub there, and the operator's")
