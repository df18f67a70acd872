import pytest

from services.cli.doctor.ours import (
    dependency_remarks,
    namespaces_of,
    process_remarks,
    recreated_remarks,
    rules_remarks,
    status_remarks,
    worst,
)
from services.cli.doctor.remarks import Level, good, note, warn
from services.console.view import PartReport, StatusReport
from shared.domain.glob import Glob
from shared.domain.image_pattern import ImagePattern
from shared.domain.rules import ANY_IMAGE, Match, Mode, Rule, Rules
from shared.ports.decisions import DecisionRecord, StoredDecision
from shared.ports.presence import Alive, Beat


def alive(service: str, *, version: str = "1.0", away: tuple[str, ...] = ()) -> Alive:
    return Alive(Beat(f"{service}@x:1:a", service, version, 0, away=away), 0)


def test_a_part_that_is_down_says_where_to_look() -> None:
    report = StatusReport(
        ok=False,
        parts=(
            PartReport("store", False, "connection refused", 1.0),
            PartReport("queue", True, "answers", 1.0),
        ),
        facts={
            "leader": "worker@x",
            "emergency": "for 2 h yet nothing is refused",
            "emergency of prod": "for 1 h yet nothing is refused",
        },
    )

    store, queue, leader, emergency, named = status_remarks(report)

    assert (store.level, store.said) == (Level.BAD, "connection refused")
    assert "REDIS_URL" in store.todo
    assert queue.level is Level.GOOD
    assert leader.level is Level.NOTE
    assert (emergency.level, emergency.part) == (Level.WARN, "emergency")
    assert "`imagegate emergency end`" in emergency.todo
    assert (named.level, named.part) == (Level.WARN, "emergency of prod")
    assert "`imagegate emergency end --cluster NAME`" in named.todo


def test_a_service_that_nobody_hears_is_bad() -> None:
    remarks = list(process_remarks([alive("webhook"), alive("webhook")]))

    assert [each.said for each in remarks if each.level is Level.BAD] == ["no worker was heard"]


def test_a_process_that_ends_is_not_one_that_runs() -> None:
    leaving = Alive(Beat("worker@x:1:a", "worker", "1.0", 0, stopping=True), 0)

    remarks = list(process_remarks([alive("webhook"), alive("webhook"), leaving]))

    assert [each.said for each in remarks if each.level is Level.BAD] == ["no worker was heard"]


def test_one_webhook_alone_is_a_warning() -> None:
    remarks = list(process_remarks([alive("webhook"), alive("worker")]))

    assert [each.said for each in remarks if each.level is Level.WARN] == [
        "only one webhook runs: when it ends, or its node does, no pod starts until another is "
        "there"
    ]


def test_webhooks_that_are_ready_and_never_heard_have_a_wrong_password() -> None:
    running = [alive("webhook"), alive("worker")]

    (said,) = (each for each in process_remarks(running, ready=2) if each.level is Level.BAD)

    assert said.said.startswith("2 webhooks are ready and 1 were heard in Redis")
    assert "redis-url" in said.todo
    for ready in (None, 0, 1):
        found = process_remarks(running, ready=ready)
        assert not [each for each in found if each.level is Level.BAD]


def test_several_versions_and_what_a_process_misses_are_warnings() -> None:
    running = [
        alive("webhook"),
        alive("webhook", version="1.1"),
        alive("worker", away=("anchore",)),
    ]

    said = [each.said for each in process_remarks(running) if each.level is Level.WARN]

    assert said == [
        "several versions run at once (1.0, 1.1)",
        "worker@x:1:a does not reach anchore",
    ]


def test_rules_that_let_everything_in_are_warned_of() -> None:
    rules = Rules(
        default=Rule(mode=Mode.AUDIT), rules=(Rule(name="open", mode=Mode.ALLOW, match=Match()),)
    )

    said = [each.said for each in rules_remarks(rules) if each.level is Level.WARN]

    assert any("every registry" in each for each in said)
    assert any("mode audit" in each for each in said)
    assert any("rule open allows every image" in each for each in said)


def test_a_rule_that_allows_all_of_a_namespace_is_warned_of_and_one_of_an_image_is_not() -> None:
    dev = (Glob("dev"),)
    all_of = Rule(name="all", mode=Mode.ALLOW, match=Match(namespaces=dev))
    one = Match(namespaces=dev, images=(ImagePattern("a.corp/**"),))
    rules = Rules(
        allow_registries=("a.corp",), rules=(all_of, Rule(name="one", mode=Mode.ALLOW, match=one))
    )

    (warning,) = [each.said for each in rules_remarks(rules) if each.level is Level.WARN]

    assert warning == "rule all allows every image where it matches, unjudged"


@pytest.mark.parametrize("mode", Mode)
def test_a_default_that_refuses_nothing_is_warned_of(mode: Mode) -> None:
    rules = Rules(allow_registries=("a.corp",), default=Rule(mode=mode))

    warned = [each.said for each in rules_remarks(rules) if each.level is Level.WARN]

    assert bool(warned) is (mode not in (Mode.ENFORCE, Mode.DENY))


@pytest.mark.parametrize("mode", [Mode.WARN, Mode.AUDIT, Mode.ALLOW])
def test_a_rule_about_everything_hides_a_strict_default(mode: Mode) -> None:
    wide = Match(namespaces=(Glob("*"),), images=(ANY_IMAGE,))
    narrow = Match(namespaces=(Glob("dev"),), images=(ImagePattern("a.corp/**"),))
    rules = Rules(
        allow_registries=("a.corp",),
        rules=(
            Rule(name="tight", mode=mode, match=narrow),
            Rule(name="wide", mode=mode, match=wide),
        ),
    )

    (warning,) = [each.said for each in rules_remarks(rules) if each.level is Level.WARN]

    assert warning.startswith("rule wide ")


def test_a_platform_of_nodes_that_the_rules_leave_out_is_a_warning() -> None:
    rules = Rules(allow_registries=("a.corp",), platforms=("linux/amd64",))

    both = ("linux/amd64", "linux/arm64")
    (said,) = [
        each.said for each in rules_remarks(rules, platforms=both) if each.level is Level.WARN
    ]

    assert "nodes of linux/arm64" in said

    silent = Rules(allow_registries=("a.corp",))
    assert {each.level for each in rules_remarks(silent, platforms=both)} == {Level.NOTE}


def test_a_rule_that_allows_named_images_is_no_warning() -> None:
    base = Match(images=(ImagePattern("a.corp/base/**"),))
    rules = Rules(
        allow_registries=("a.corp",), rules=(Rule(name="base", mode=Mode.ALLOW, match=base),)
    )

    assert {each.level for each in rules_remarks(rules)} == {Level.NOTE}


def test_services_are_found_in_urls() -> None:
    urls = (
        "redis://u:p@redis.data.svc:6379/0",
        "amqp://u:p@rabbit.broker.svc.cluster.local:5672/",
        "http://anchore.scan:8228",
        "http://anchore.corp.example:8228",
        "http://anchore",
        "http://10.0.0.1:8228",
    )

    assert set(namespaces_of(urls)) >= {"data", "broker", "scan"}


def test_a_dependency_in_a_judged_namespace_is_bad() -> None:
    urls = ("redis://redis.data.svc:6379", "amqp://rabbit.mq.svc:5672", "http://a.corp.svc:1")

    rabbit, redis = sorted(
        dependency_remarks(urls, exempt=("data",), known=("data", "mq")), key=lambda each: each.said
    )

    assert (rabbit.level, redis.level) == (Level.BAD, Level.GOOD)
    assert "dependencyNamespaces" in rabbit.todo


def decision(
    name: str, user: str, *, times: int = 1, allowed: bool = True, dry_run: bool = False
) -> StoredDecision:
    record = DecisionRecord(
        at=1,
        allowed=allowed,
        state="pass",
        code=200,
        kind="Pod",
        namespace="db",
        name=name,
        user=user,
        operation="CREATE",
        times=times,
        dry_run=dry_run,
    )
    return StoredDecision("1", record)


def test_a_pod_that_is_made_again_and_again_is_told() -> None:
    operator = "system:serviceaccount:db:operator"
    decisions = [decision("pg-0", operator, times=4), decision("pg-0", operator)]

    (remark,) = recreated_remarks(decisions)

    assert remark.said.startswith(f"{operator} created the pod db/pg-0 5 times")
    assert "pin: none, tags: allow" in remark.todo


def test_what_controllers_make_and_what_was_refused_is_not() -> None:
    controller = "system:serviceaccount:kube-system:statefulset-controller"
    decisions = [
        decision("pg-0", controller, times=50),
        decision("web-*", "u", times=50),
        decision("bad", "u", times=50, allowed=False),
        decision("few", "u", times=4),
        decision("tried", "u", times=50, dry_run=True),
    ]

    assert not list(recreated_remarks(decisions))


def test_the_worst_of_all_counts() -> None:
    assert worst([good("a", "b"), warn("a", "b", "c"), note("a", "b")]) is Level.WARN
    assert worst([]) is Level.GOOD
