"""What our own servers, processes and files say."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from urllib.parse import urlsplit

from services.cli.doctor.remarks import Level, Remark, bad, good, note, warn
from services.console.emergency_report import FACT, is_emergency
from services.console.view import StatusReport
from shared.domain.rules import Match, Mode, Rules
from shared.ports.decisions import StoredDecision
from shared.ports.presence import Alive

PROCESSES = "processes"
RULES = "rules"
DEPENDENCIES = "dependencies"

PARTS = {
    "store": "look at Redis, and at REDIS_URL",
    "queue": "look at RabbitMQ, and at AMQP_URL",
    "scanner": "look at Anchore, and at ANCHORE_URL with its login",
    "workers": "start workers, or look at their log and /readyz",
}
NEEDED = ("webhook", "worker")

AGAIN = 5
"""Pods of one name that were created so often of late are made again by somebody."""

CONTROLLERS = "system:serviceaccount:kube-system:"


def status_remarks(report: StatusReport) -> Iterator[Remark]:
    """Each part's real answer, and facts that name a trouble."""
    for part in report.parts:
        if part.ok:
            yield good(part.name, part.detail)
        else:
            yield bad(part.name, part.detail, PARTS.get(part.name, "look at its log"))
    for name, fact in report.facts.items():
        if is_emergency(name):
            end = "end" if name == FACT else "end --cluster NAME"
            yield warn(name, fact, f"end it when it is over: `imagegate emergency {end}`")
        else:
            yield note(name, fact)


def process_remarks(alive: Sequence[Alive], *, ready: int | None = None) -> Iterator[Remark]:
    """Which of ours run, in which versions, and what they miss. `ready`: webhooks that the API
    server can ask, where it is known."""
    running = Counter(each.beat.service for each in alive if not each.beat.stopping)
    if ready is not None and running["webhook"] < ready:
        yield bad(
            PROCESSES,
            f"{ready} webhooks are ready and {running['webhook']} were heard in Redis: the others "
            "do not get in there, and refuse every image that they do not know",
            "look at their log (`kubectl logs deploy/imagegate-webhook`): address, user and "
            "password are the key redis-url of their Secret, and a changed Secret restarts nobody "
            "(`kubectl rollout restart deploy/imagegate-webhook`)",
        )
    for service in NEEDED:
        if not running[service]:
            yield bad(
                PROCESSES,
                f"no {service} was heard",
                f"start one, or look at its log: it tells Redis every two seconds ({service})",
            )
    if running["webhook"] == 1:
        yield warn(
            PROCESSES,
            "only one webhook runs: when it ends, or its node does, no pod starts until another is "
            "there",
            "run three, spread over nodes",
        )
    counted = ", ".join(f"{count} {service}" for service, count in sorted(running.items()))
    versions = sorted({each.beat.version for each in alive})
    if len(versions) > 1:
        yield warn(
            PROCESSES,
            f"several versions run at once ({', '.join(versions)})",
            "right during an upgrade; else see which pods were not exchanged",
        )
    elif counted:
        yield note(PROCESSES, f"{counted}, version {versions[0]}")
    for each in alive:
        if each.beat.away:
            yield warn(
                PROCESSES,
                f"{each.beat.name} does not reach {', '.join(each.beat.away)}",
                "look at its log; what others reach it may not (network, its own password)",
            )


def rules_remarks(rules: Rules, *, platforms: Iterable[str] = ()) -> Iterator[Remark]:
    """About the rules file; `platforms` are those of the cluster's nodes, where they are known."""
    yield note(RULES, f"{len(rules.rules)} rules, then {rules.default.mode} for every other image")
    if not rules.allow_registries:
        yield warn(
            RULES,
            "images of every registry may be asked about: anybody who creates a pod has any host "
            "called",
            "name yours in allowRegistries",
        )
    if rules.default.mode not in (Mode.ENFORCE, Mode.DENY):
        yield warn(
            RULES,
            f"what no rule is about is in mode {rules.default.mode}: it is never refused",
            "set default.mode to enforce once `imagegate decisions` shows nothing that should run",
        )
    for rule in rules.rules:
        if rule.mode is Mode.ALLOW and _every_image(rule.match):
            yield warn(
                RULES,
                f"rule {rule.name} allows every image where it matches, unjudged",
                "name the images that it is about",
            )
        elif rule.mode in (Mode.WARN, Mode.AUDIT) and rule.match.contains(Match()):
            yield warn(
                RULES,
                f"rule {rule.name} is about every image in mode {rule.mode}: nothing that later "
                "rules are about is refused",
                "set its mode to enforce, or name what it is about",
            )
    missing = sorted(set(platforms) - set(rules.platforms)) if rules.platforms else []
    if missing:
        yield warn(
            RULES,
            f"the cluster has nodes of {', '.join(missing)}, which platforms in the rules do not "
            "name: manifests for them run unjudged",
            "add them to platforms, or remove platforms from the rules so that the nodes tell",
        )


def _every_image(match: Match) -> bool:
    return Match(images=match.images).contains(Match())


def namespaces_of(urls: Iterable[str]) -> dict[str, str]:
    """The namespaces in which Services of these URLs are, each with a host of it."""
    found: dict[str, str] = {}
    for url in urls:
        host = urlsplit(url).hostname or ""
        parts = host.split(".")
        if len(parts) >= 2 and (parts[2:3] == ["svc"] or len(parts) == 2):
            found.setdefault(parts[1], host)
    return found


def dependency_remarks(
    urls: Iterable[str], *, exempt: Iterable[str], known: Iterable[str]
) -> Iterator[Remark]:
    """What imagegate stands on must be able to start while it is down. `known`: the namespaces
    that there are."""
    there, out = set(known), set(exempt)
    for namespace, host in sorted(namespaces_of(urls).items()):
        if namespace not in there:
            continue
        if namespace in out:
            yield good(DEPENDENCIES, f"{host} is in {namespace}, which is exempt")
        else:
            yield bad(
                DEPENDENCIES,
                f"{host} is in {namespace}, which is not exempt: once it is down and no webhook "
                "answers, neither can start again",
                f"add {namespace} to dependencyNamespaces of the chart, or to each "
                "namespaceSelector",
            )


def recreated_remarks(decisions: Iterable[StoredDecision]) -> Iterator[Remark]:
    """Pods that somebody makes again and again, as operators do that compare images."""
    made: Counter[tuple[str, str, str]] = Counter()
    for stored in decisions:
        one = stored.decision
        again = one.allowed and not one.dry_run and one.kind == "Pod" and one.operation == "CREATE"
        if again and not one.name.endswith("*") and not one.user.startswith(CONTROLLERS):
            made[one.namespace, one.name, one.user] += one.times
    for (namespace, name, user), times in made.most_common(5):
        if times < AGAIN:
            break
        yield warn(
            "pods made again",
            f"{user} created the pod {namespace}/{name} {times} times of late: it may undo the "
            "pinned image",
            "give its images a rule with `pin: none, tags: allow` (docs/rules.md, operators that "
            "compare images)",
        )


def worst(remarks: Iterable[Remark]) -> Level:
    """Of all of them."""
    order = tuple(Level)
    return min((each.level for each in remarks), key=order.index, default=Level.GOOD)
