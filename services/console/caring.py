"""What is in use and who keeps it fresh, in words for `imagegate status`."""

from collections.abc import Iterator, Sequence

from shared.domain.pointer import SECOND
from shared.ports.presence import Alive, Caring
from shared.runtime.logging import one_line

NOBODY = "none of the workers: nobody reconciles, keeps fresh what is in use, or watches policies"


def caring_facts(alive: Sequence[Alive], *, now: int) -> dict[str, str]:
    """Facts by name; empty where no worker is alive. `now` in milliseconds."""
    workers = [each.beat for each in alive if each.beat.service == "worker"]
    if not workers:
        return {}
    leaders = [(beat.name, beat.caring) for beat in workers if beat.caring is not None]
    if not leaders:
        return {"leader": NOBODY}
    # Two at a time only while one hands over to the other.
    name, caring = max(leaders, key=lambda leader: leader[1].surveyed_at)
    return {
        "leader": one_line(name, limit=100),
        "in use": _in_use(caring),
        "refresh": f"up to {caring.rate:g} evaluations a second",
        **dict(_policies(caring, now)),
    }


def _in_use(caring: Caring) -> str:
    if not caring.surveyed_at:
        return "not looked at yet"
    parts = {
        "about to be renewed": caring.due,
        "stale": caring.stale,
        "judged by a policy that has been replaced": caring.replaced,
    }
    told = [f"{number} {what}" for what, number in parts.items() if number]
    return ", ".join((f"{caring.in_use} judged images", *told))


def _policies(caring: Caring, now: int) -> Iterator[tuple[str, str]]:
    for each in caring.policies:
        account = f" of {one_line(each.account, limit=64)}" if each.account else ""
        since = max(0, now - each.since) // SECOND
        yield (
            f"policy {one_line(each.policy, limit=64)}{account}",
            f"revision {one_line(each.revision, limit=12)}, seen first {_ago(since)} ago",
        )


def _ago(seconds: int) -> str:
    for unit, length in (("d", 86_400), ("h", 3_600), ("min", 60)):
        if seconds >= 2 * length:
            return f"{seconds // length} {unit}"
    return f"{seconds} s"
