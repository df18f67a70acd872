"""Rules over the real wire: which one decides, what it makes of an image, and what others add
(docs/design/behaviour.md 3 and 4)."""

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
import pytest

from services.worker.ledger import Ledger
from shared.adapters.memory.namespaces import MemoryNamespaces
from shared.domain.exceptions import ImageException
from shared.domain.glob import Glob
from shared.domain.image_pattern import ImagePattern
from shared.domain.pointer import DAY, MINUTE, Pointer
from shared.domain.reference import ImageReference
from shared.domain.rules import Match, Mode, PinWhat, PolicyChoice, Requirement, Rule, Rules, Tags
from shared.domain.verdict import Action, Finding, Outcome, Question, Subject, Verdict
from shared.ports.decisions import DecisionRecord, StoredDecision
from shared.runtime.clock import SystemClock
from tests.fakes.images import tiny_image
from tests.fakes.sealing import PlainSealer
from tests.fakes.workloads import KINDS, review_of_workload, workload
from tests.house import PERSON, Answer, House, eventually, house, memory_backends, pod, review_of

SOME = "registry.test/team/app:1"
ENFORCE = Rule(tags=Tags.ALLOW)
DENIED = Rule("denied", mode=Mode.DENY)
ALLOWED = Rule("default", mode=Mode.ALLOW)
STRICT = PolicyChoice(id="strict")


def under(rule: Rule, *, name: str = "", **match: Any) -> Rule:
    """The rule for what is named."""
    return msgspec.structs.replace(rule, name=name or rule.name, match=Match(**match))


def globs(*patterns: str) -> tuple[Glob, ...]:
    return tuple(map(Glob, patterns))


def images(*patterns: str) -> tuple[ImagePattern, ...]:
    return tuple(map(ImagePattern, patterns))


def here(name: str) -> tuple[ImagePattern, ...]:
    """A path in the registry of the test, wherever that answers."""
    return images(f"127.0.0.1:*/{name}")


def push(home: House, name: str = "team/app:1") -> ImageReference:
    """A new image, by its digest."""
    content = tiny_image(config={"Labels": {"name": name}})
    reference = home.registry.put(content, name)
    return msgspec.structs.replace(reference, digest=content.digest)


async def ask(
    home: House,
    *of: str,
    namespace: str = "team",
    labels: dict[str, str] | None = None,
    annotations: dict[str, str] | None = None,
    **more: Any,
) -> Answer:
    """A pod of these images is created there; asked until nothing is pending."""
    content = pod(*of)
    content["metadata"] |= {"namespace": namespace, "labels": labels, "annotations": annotations}
    review = review_of(content, **more)
    review["request"]["namespace"] = namespace
    return await home.asked_until(review, lambda answer: answer.code != 429)


def rule_of(answer: Answer) -> str:
    return str(answer.response["auditAnnotations"]["rule"])


def warnings(answer: Answer) -> list[str]:
    return list(answer.response.get("warnings", ()))


# Which rule decides


CHOOSING = Rules(
    default=ALLOWED,
    rules=(
        under(DENIED, name="payments", namespaces=globs("payments-*", "billing")),
        under(DENIED, name="robots", users=globs("system:serviceaccount:ci:*")),
        under(ALLOWED, name="trusted", images=images("registry.test/trusted/**")),
        under(DENIED, name="registry", images=images("registry.test/**")),
        under(DENIED, name="both", namespaces=globs("lab"), users=globs("eve")),
    ),
)


@pytest.mark.parametrize(
    ("image", "asked", "rule"),
    [
        ("nginx", {}, "default"),
        ("nginx", {"namespace": "payments-eu"}, "payments"),
        ("nginx", {"namespace": "billing"}, "payments"),
        ("registry.test/trusted/a/b", {"namespace": "payments-eu"}, "payments"),
        ("nginx", {"user": "system:serviceaccount:ci:builder"}, "robots"),
        ("registry.test/trusted/a/b:1", {}, "trusted"),
        ("registry.test/other", {}, "registry"),
        (f"registry.test/other@sha256:{'a' * 64}", {}, "registry"),
        ("nginx", {"namespace": "lab", "user": "eve"}, "both"),
        ("nginx", {"namespace": "lab", "user": "ada"}, "default"),
    ],
)
async def test_the_first_rule_that_matches_decides(
    tmp_path: Path, image: str, asked: dict[str, Any], rule: str
) -> None:
    async with house(tmp_path, rules=CHOOSING, worker=False) as home:
        answer = await ask(home, image, **asked)
        assert rule_of(answer) == rule
        assert answer.code == (200 if rule in ("default", "trusted") else 403)
        if not answer.allowed:
            assert answer.message == (
                f"image {image}: rule {rule} denies it: use another image, or have the rule changed"
            )


async def test_what_an_author_writes_adds_demands_and_loosens_nothing(tmp_path: Path) -> None:
    rules = Rules(
        default=ALLOWED,
        rules=(
            under(DENIED, name="strict", namespaces=globs("strict")),
            under(DENIED, name="pci", labels=(("pci", "true"),)),
            under(DENIED, name="scanned", annotations=(("scan", "no"),), namespaces=globs("team")),
            under(ENFORCE, name="lax", labels=(("lax", "true"),)),
        ),
    )
    async with house(tmp_path, rules=rules, worker=False) as home:
        assert (await ask(home, SOME)).allowed
        assert (await ask(home, SOME, labels={"pci": "false"})).allowed
        assert rule_of(await ask(home, SOME, labels={"pci": "true", "app": "x"})) == "pci"
        assert rule_of(await ask(home, SOME, annotations={"scan": "no"})) == "scanned"
        assert (await ask(home, SOME, annotations={"scan": "no"}, namespace="other")).allowed
        lax = await ask(home, SOME, namespace="strict", labels={"lax": "true"})
        assert (lax.code, rule_of(lax)) == (403, "strict")


async def test_a_kind_adds_a_demand_for_its_own_objects(tmp_path: Path) -> None:
    rules = Rules(default=ALLOWED, rules=(under(DENIED, name="jobs", kinds=("Job", "CronJob")),))
    async with house(tmp_path, rules=rules, worker=False) as home:
        for kind in KINDS:
            content = workload(kind, pod(SOME)["spec"])
            answer = await home.ask(review_of_workload(kind, content))
            assert answer.allowed is (kind.kind not in ("Job", "CronJob")), kind
        assert (await ask(home, SOME)).allowed


async def test_labels_of_a_workload_are_those_that_its_pods_get(tmp_path: Path) -> None:
    rules = Rules(default=ALLOWED, rules=(under(DENIED, name="web", labels=(("app", "web"),)),))
    async with house(tmp_path, rules=rules, worker=False) as home:
        for kind in KINDS:
            denied = await home.ask(review_of_workload(kind, workload(kind, pod(SOME)["spec"])))
            assert rule_of(denied) == "web"


async def test_labels_that_cannot_be_read_are_denied_where_a_rule_asks_for_them(
    tmp_path: Path,
) -> None:
    odd: list[Any] = [{"pci": 1}, ["pci"], "pci", {"pci": {"true": "x"}}]
    rules = Rules(
        default=ALLOWED,
        rules=(under(DENIED, namespaces=globs("strict"), labels=(("pci", "true"),)),),
    )
    async with house(tmp_path, rules=rules, worker=False) as home:
        for labels in odd:
            answer = await ask(home, SOME, namespace="strict", labels=labels)
            assert answer.code == 403
            assert answer.message.startswith("metadata.labels cannot be read")
            assert (await ask(home, SOME, labels=labels)).allowed


# What a rule asks


async def test_each_rule_asks_its_policy_and_the_message_names_both(tmp_path: Path) -> None:
    rules = Rules(
        default=ENFORCE,
        rules=(under(ENFORCE, name="payments", namespaces=globs("payments")),),
    )
    rules = with_policy(rules, "payments", STRICT)
    async with house(tmp_path, rules=rules) as home:
        home.anchore.store.add_policy("strict")
        image = push(home)
        home.anchore.store.decide(str(image.digest), "stop", policy="strict")
        assert (await ask(home, str(image))).allowed
        denied = await ask(home, str(image), namespace="payments")
        assert denied.code == 403
        assert f"image {image}"[:60] in denied.message
        assert ": refused by policy strict (rule payments): " in denied.message
        annotations = denied.response["auditAnnotations"]
        assert (annotations["rule"], annotations["policy"]) == ("payments", "strict")
        assert annotations["decision"] == "fail"
        assert int(annotations["verdict-age-seconds"]) < 60
        assert annotations["scan-id"]


async def test_each_account_has_its_own_verdict(tmp_path: Path) -> None:
    account = PolicyChoice(account="shop")
    rules = with_policy(
        Rules(default=ENFORCE, rules=(under(ENFORCE, name="shop", namespaces=globs("shop")),)),
        "shop",
        account,
    )
    async with house(tmp_path, rules=rules) as home:
        home.anchore.store.add_account("shop")
        image = push(home)
        assert (await ask(home, str(image))).allowed
        assert (await ask(home, str(image), namespace="shop")).allowed
        assert {name for name, _ in home.anchore.store.images} == {"admin", "shop"}


async def test_where_analysed_is_enough_no_policy_is_obeyed(tmp_path: Path) -> None:
    analysed = msgspec.structs.replace(ENFORCE, require=Requirement.ANALYSIS)
    rules = Rules(default=ENFORCE, rules=(under(analysed, name="lab", namespaces=globs("lab")),))
    async with house(tmp_path, rules=rules) as home:
        image = push(home)
        home.anchore.store.decide(str(image.digest), "stop")
        assert (await ask(home, str(image), namespace="lab")).allowed
        assert (await ask(home, str(image))).code == 403


def with_policy(rules: Rules, name: str, policy: PolicyChoice) -> Rules:
    """The rule of that name asks this policy."""
    asked = tuple(
        msgspec.structs.replace(rule, policy=policy) if rule.name == name else rule
        for rule in rules.rules
    )
    return msgspec.structs.replace(rules, rules=asked)


ADDING = with_policy(
    Rules(default=ENFORCE, rules=(under(ENFORCE, name="pci", labels=(("pci", "true"),)),)),
    "pci",
    STRICT,
)


@pytest.mark.parametrize("failing", ["strict", "default", ""])
async def test_an_object_under_two_questions_has_both_asked_once_and_is_denied_if_one_fails(
    tmp_path: Path, failing: str
) -> None:
    async with house(tmp_path, rules=ADDING, wait=4.0) as home:
        store = home.anchore.store
        store.add_policy("strict")
        image = push(home)
        default = next(name for name in store.policies["admin"] if name != "strict")
        if failing:
            policy = {"strict": "strict", "default": default}[failing]
            store.decide(str(image.digest), "stop", policy=policy)
        answers = await asyncio.gather(
            *(ask(home, str(image), labels={"pci": "true"}) for _ in range(5))
        )
        assert {answer.allowed for answer in answers} == {not failing}
        assert list(store.submits) == [image.digest]
        if failing:
            named = "policy strict (rule pci)" if failing == "strict" else f"policy {default}"
            assert f": refused by {named}: " in answers[0].message
            assert rule_of(answers[0]) == ("pci" if failing == "strict" else "default")
        else:
            assert rule_of(answers[0]) == "default, pci"
        text = await home.metrics()
        assert '\nimagegate_asks_total{need="request",outcome="first"} 2.0\n' in text


# Modes


async def test_each_image_of_a_pod_is_under_its_own_mode(tmp_path: Path) -> None:
    modes = {mode: msgspec.structs.replace(ENFORCE, mode=mode) for mode in (Mode.WARN, Mode.AUDIT)}
    rules = Rules(
        default=ENFORCE,
        rules=(
            under(modes[Mode.WARN], name="warned", images=here("team/warned")),
            under(modes[Mode.AUDIT], name="audited", images=here("team/audited")),
        ),
    )
    async with house(tmp_path, rules=rules) as home:
        names = ("team/app:1", "team/warned:1", "team/audited:1")
        app, warned, audited = (push(home, name) for name in names)
        for image in (warned, audited):
            home.anchore.store.decide(str(image.digest), "stop")
            await judged(home, image)
        answer = await ask(home, *map(str, (app, warned, audited)))
        assert answer.allowed
        assert [text[:60] for text in warnings(answer)] == [f"image {warned}"[:60]]
        assert ": refused by policy " in warnings(answer)[0]
        annotations = answer.response["auditAnnotations"]
        assert (annotations["decision"], annotations["rule"]) == ("fail", "warned")
        alone = await ask(home, str(audited))
        assert (alone.allowed, warnings(alone)) == (True, [])
        assert ": refused by policy " in alone.response["auditAnnotations"]["message"]
        home.anchore.store.decide(str(push(home, "team/bad:1").digest), "stop")
        denied = await ask(home, str(push(home, "team/bad:1")), str(warned), str(audited))
        assert denied.code == 403
        assert "team/warned" not in denied.message
        assert len(warnings(denied)) == 1
        text = await home.metrics()
        assert '\nimagegate_reviews_total{allowed="true",state="fail"} ' in text


async def judged(home: House, image: ImageReference, **asked: Any) -> None:
    """Wait until a verdict is there, where a rule lets the pod pass before."""

    async def known() -> bool:
        answer = await ask(home, str(image), **asked)
        return bool(answer.response["auditAnnotations"]["decision"] != "pending")

    await eventually(known)


async def test_a_demand_that_an_author_adds_denies_where_the_rule_only_warns(
    tmp_path: Path,
) -> None:
    warned = msgspec.structs.replace(ENFORCE, name="warned", mode=Mode.WARN)
    async with house(tmp_path, rules=msgspec.structs.replace(ADDING, default=warned)) as home:
        home.anchore.store.add_policy("strict")
        image = push(home)
        home.anchore.store.decide(str(image.digest), "stop")
        await judged(home, image)
        assert (await ask(home, str(image))).allowed
        denied = await ask(home, str(image), labels={"pci": "true"})
        assert (denied.code, rule_of(denied)) == (403, "pci")
        assert len(warnings(denied)) == 1


async def test_mode_allow_asks_no_store_and_no_registry_and_pins_nothing(tmp_path: Path) -> None:
    rules = Rules(default=ENFORCE, rules=(under(ALLOWED, name="own", namespaces=globs("own")),))
    async with house(tmp_path, rules=rules) as home:
        image = str(home.registry.put(tiny_image(), "team/app:1"))
        review = review_of(pod(image))
        review["request"]["namespace"] = "own"
        assert "patch" not in (await home.mutate(review)).response
        answer = await ask(home, image, namespace="own")
        assert (answer.allowed, warnings(answer)) == (True, [])
        assert not home.registry.requests
        assert not home.anchore.store.calls
        text = await home.metrics()
        for layer in ("near_cache", "store", "queue"):
            assert f'\nimagegate_image_lookups_total{{layer="{layer}"}} 0.0\n' in text
        assert (await ask(home, "NOT/A:reference", namespace="own")).code == 403
        assert '\nimagegate_reviews_total{allowed="true",state="exempt"} 1.0\n' in text


async def test_a_rule_may_let_tags_pass_that_others_refuse(tmp_path: Path) -> None:
    operator = Rule("operator", pin=PinWhat.NONE, tags=Tags.ALLOW)
    rules = Rules(rules=(under(operator, images=here("team/operator")),))
    async with house(tmp_path, rules=rules) as home:
        names = ("team/operator:1", "team/app:1")
        operator_image, app = (
            str(home.registry.put(tiny_image(config={"Labels": {"n": name}}), name))
            for name in names
        )
        answer = await ask(home, operator_image)
        assert answer.allowed
        assert warnings(answer) == [
            f"not pinned to a digest, the tag can move before it is pulled: {operator_image}"
        ]
        made = await home.deployed(pod(operator_image, app))
        assert [("@sha256:" in image) for image in made.images] == [False, True]
        assert made.answer.allowed


# What is refused before any scan


async def test_a_registry_that_is_not_allowed_is_refused_before_anybody_is_asked(
    tmp_path: Path,
) -> None:
    rules = Rules(
        default=ENFORCE,
        rules=(
            under(msgspec.structs.replace(ENFORCE, mode=Mode.WARN), namespaces=globs("lab")),
            under(ALLOWED, name="own", namespaces=globs("own")),
            under(ENFORCE, name="pci", labels=(("pci", "true"),)),
        ),
        allow_registries=("ghcr.io",),
    )
    async with house(tmp_path, rules=rules) as home:
        image = str(push(home))
        denied = await ask(home, image)
        assert (denied.code, "is not in allowRegistries of the rules" in denied.message) == (
            403,
            True,
        )
        assert (await ask(home, image, namespace="own")).code == 403
        warned = await ask(home, image, namespace="lab")
        assert warned.allowed
        assert "is not in allowRegistries of the rules" in warnings(warned)[0]
        # Whoever adds a demand is denied by it, also where the rule that decides only warns.
        added = await ask(home, image, namespace="lab", labels={"pci": "true"})
        assert (added.code, rule_of(added)) == (403, "pci")
        assert not home.registry.requests


async def test_a_placeholder_is_judged_by_the_rule_that_is_about_it(tmp_path: Path) -> None:
    rules = Rules(
        default=msgspec.structs.replace(ENFORCE, mode=Mode.AUDIT),
        rules=(under(ENFORCE, name="shop", namespaces=globs("shop")),),
        placeholders=("auto", "${IMAGE}"),
    )
    async with house(tmp_path, rules=rules, worker=False) as home:
        assert (await ask(home, "auto")).allowed
        denied = await ask(home, "auto", namespace="shop")
        assert (denied.code, rule_of(denied)) == (403, "shop")
        assert "the placeholder 'auto' was not replaced" in denied.message
        odd = await ask(home, "${IMAGE}")
        assert odd.code == 403
        assert "the placeholder '${IMAGE}' was not replaced" in odd.message


# Labels of namespaces

LABELLED = Rules(
    default=ALLOWED,
    rules=(
        under(DENIED, name="here", images=images("registry.test/denied")),
        under(DENIED, name="prod", namespace_labels=(("tier", "prod"),)),
    ),
)


async def test_labels_of_a_namespace_decide_once_they_are_known(tmp_path: Path) -> None:
    namespaces = MemoryNamespaces({"shop": {"tier": "prod"}, "lab": {"tier": "test"}})
    backends = msgspec.structs.replace(memory_backends(), namespaces=namespaces)
    async with house(tmp_path, backends=backends, rules=LABELLED, worker=False) as home:
        assert rule_of(await ask(home, SOME, namespace="shop")) == "prod"
        assert rule_of(await ask(home, SOME, namespace="lab")) == "default"


@pytest.mark.parametrize("namespaces", [None, MemoryNamespaces()])
async def test_labels_that_are_not_known_are_never_taken_for_no_match(
    tmp_path: Path, namespaces: MemoryNamespaces | None
) -> None:
    backends = msgspec.structs.replace(memory_backends(), namespaces=namespaces)
    async with house(tmp_path, backends=backends, rules=LABELLED, worker=False) as home:
        answer = await ask(home, SOME)
        assert (answer.code, answer.response["status"]["reason"]) == (503, "ServiceUnavailable")
        assert answer.response["auditAnnotations"]["decision"] == "undecided"
        assert answer.message.startswith(
            f"image {SOME}: which rule is about it depends on labels of its namespace"
        )
        dry = await ask(home, SOME, dry_run=True)
        assert (dry.allowed, warnings(dry)[0][:15]) == (True, "not judged yet:")
        assert rule_of(await ask(home, "registry.test/denied")) == "here"


async def test_labels_that_are_not_known_deny_nothing_where_every_rule_only_warns(
    tmp_path: Path,
) -> None:
    warned = msgspec.structs.replace(ENFORCE, name="warned", mode=Mode.WARN)
    rules = Rules(
        default=msgspec.structs.replace(ENFORCE, name="audited", mode=Mode.AUDIT),
        rules=(under(warned, namespace_labels=(("tier", "prod"),)),),
    )
    async with house(tmp_path, rules=rules, worker=False) as home:
        answer = await ask(home, SOME)
        assert (answer.allowed, rule_of(answer)) == (True, "warned")
        assert "depends on labels of its namespace" in warnings(answer)[0]


# Exceptions, and time


def ledger(home: House) -> Ledger:
    sealer = PlainSealer()
    store = home.backends.store
    return Ledger(store=store, sealer=sealer, unsealer=sealer, clock=SystemClock())


def failed(image: ImageReference, *triggers: str, turned_at: int | None = None) -> Verdict:
    """A fail of this moment, with these findings that stop."""
    found = [Finding("g", "t", trigger, Action.STOP, f"{trigger} found") for trigger in triggers]
    subject = Subject(image.repository, str(image.digest), image.tag)
    return Verdict(
        subject,
        Question(),
        Outcome.FAIL,
        SystemClock().now(),
        tuple(found),
        policy_id="strict",
        turned_at=turned_at,
    )


def exception(
    image: str, *findings: str, seconds: float = 600, namespaces: Sequence[str] = ("*",)
) -> ImageException:
    expires = SystemClock().now() + round(1000 * seconds)
    reason = f"no fix of {findings[0]} yet"
    return ImageException(image, findings, tuple(namespaces), reason, "team-a", expires)


async def test_an_exception_covers_a_fail_whose_every_finding_it_names(tmp_path: Path) -> None:
    async with house(tmp_path, rules=Rules(default=ENFORCE), worker=False) as home:
        image = push(home)
        await ledger(home).write_verdict(failed(image, "CVE-1", "CVE-2"), chain="")
        assert (await ask(home, str(image))).code == 403

        def except_(*exceptions: ImageException) -> None:
            home.book.rules_changed(msgspec.structs.replace(home.book.rules, exceptions=exceptions))

        one = exception(image.repository, "CVE-1", namespaces=["team"])
        except_(one)
        assert (await ask(home, str(image))).code == 403
        except_(one, exception(image.repository, "CVE-2"))
        answer = await ask(home, str(image))
        assert answer.allowed
        assert answer.response["auditAnnotations"]["decision"] == "excepted"
        assert "(team-a)" in answer.response["auditAnnotations"]["exceptions"]
        assert len(warnings(answer)) == 2
        assert " by an exception of team-a: no fix of CVE-1 yet" in warnings(answer)[0]
        assert (await ask(home, str(image), namespace="other")).code == 403
        except_()
        assert (await ask(home, str(image))).code == 403


async def test_an_exception_for_a_digest_is_decided_without_anybody_being_asked(
    tmp_path: Path,
) -> None:
    digest = f"registry.test/team/app@sha256:{'a' * 64}"
    rules = Rules(default=ENFORCE, exceptions=(exception(digest, "all", namespaces=["team"]),))
    async with house(tmp_path, rules=rules, worker=False) as home:
        answer = await ask(home, digest)
        assert answer.allowed
        assert answer.response["auditAnnotations"]["decision"] == "exempt"
        assert "(team-a)" in answer.response["auditAnnotations"]["exceptions"]
        (warning,) = warnings(answer)
        assert " by an exception of team-a: no fix of all yet" in warning
        text = await home.metrics()
        assert '\nimagegate_image_lookups_total{layer="store"} 0.0\n' in text
        record = await last_record(home)
        assert (record.state, record.reason, record.rule) == ("exempt", warning, "default")


async def last_record(home: House) -> DecisionRecord:
    found: list[StoredDecision] = []

    async def written() -> bool:
        nonlocal found
        found = await home.backends.decisions.recent(limit=1)
        return bool(found)

    await eventually(written)
    return found[0].decision


async def codes_around(home: House, review: dict[str, Any], end: int) -> tuple[set[int], set[int]]:
    """Which codes came before `end` (ms), and which after it."""
    before: set[int] = set()
    after: set[int] = set()
    while not after:
        began = SystemClock().now()
        code = (await home.ask(review)).code
        if began >= end:
            after.add(code)
        elif SystemClock().now() < end:
            before.add(code)
        await asyncio.sleep(0.02)
    return before, after


async def test_an_exception_that_ends_ends_what_was_kept_of_it(tmp_path: Path) -> None:
    digest = f"registry.test/team/app@sha256:{'a' * 64}"
    async with house(tmp_path, rules=Rules(default=ENFORCE), worker=False, wait=0.05) as home:
        image = push(home)
        await ledger(home).write_verdict(failed(image, "CVE-1"), chain="")
        exceptions = (
            exception(digest, "all", seconds=2),
            exception(image.repository, "CVE-1", seconds=2.5),
        )
        home.book.rules_changed(msgspec.structs.replace(home.book.rules, exceptions=exceptions))
        for one, where in zip(exceptions, (digest, str(image)), strict=True):
            before, after = await codes_around(home, review_of(pod(where)), one.expires)
            assert before == {200}
            assert after <= {403, 429}


async def test_a_fail_that_replaced_a_pass_runs_on_for_the_time_that_its_rule_grants(
    tmp_path: Path,
) -> None:
    patient = msgspec.structs.replace(ENFORCE, turn_grace=DAY)
    rules = Rules(
        default=ENFORCE, rules=(under(patient, name="patient", namespaces=globs("team")),)
    )
    async with house(tmp_path, rules=rules, worker=False) as home:
        end = SystemClock().now() + 3_000
        late, soon = push(home, "team/late:1"), push(home, "team/soon:1")
        for image, ends in ((late, end - MINUTE), (soon, end)):
            await ledger(home).write_pointer(
                Pointer(image.tagged, end - 3_000, digest=image.digest)
            )
            verdict = failed(image, "CVE-1", turned_at=ends - DAY)
            await ledger(home).write_verdict(verdict, chain="")
        assert (await ask(home, str(late))).code == 403
        answer = await ask(home, str(soon))
        assert answer.allowed
        (warning,) = warnings(answer)
        assert " only, then refused by policy strict: CVE-1 found. See: " in warning
        assert (await ask(home, str(soon), namespace="other")).code == 403
        before, after = await codes_around(home, review_of(pod(str(soon))), end)
        assert (before, after) == ({200}, {403})
        text = await home.metrics()
        assert '\nimagegate_reviews_total{allowed="true",state="turned"} ' in text


# Rules that change


async def test_other_rules_hold_for_the_next_review_whatever_was_kept(tmp_path: Path) -> None:
    async with house(tmp_path, rules=Rules(default=ENFORCE)) as home:
        image = str(push(home))
        assert (await ask(home, image)).allowed
        assert (await ask(home, image)).allowed
        before = home.book.rules
        home.book.rules_changed(msgspec.structs.replace(before, default=DENIED))
        assert (await ask(home, image)).code == 403
        home.book.rules_changed(before)
        assert (await ask(home, image)).allowed


async def test_what_a_dry_run_may_is_not_kept_for_a_pod(tmp_path: Path) -> None:
    nobody = f"registry.test/nobody@sha256:{'b' * 64}"
    async with house(tmp_path, rules=Rules(default=ENFORCE), worker=False, wait=0.1) as home:
        for _ in range(3):
            assert (await home.review(nobody, dry_run=True, user=PERSON)).allowed
            assert (await home.review(nobody)).code == 429
