"""What a rule asks: whose policy, how much, in which mode (docs/design/behaviour.md 3 and 4)."""

import asyncio
from pathlib import Path

import msgspec
import pytest

from shared.domain.rules import Mode, PinWhat, PolicyChoice, Requirement, Rule, Rules, Tags
from tests.fakes.images import tiny_image
from tests.functional.ruling.asking import (
    ALLOWED,
    ENFORCE,
    STRICT,
    ask,
    globs,
    here,
    judged,
    push,
    rule_of,
    under,
    warnings,
)
from tests.house import house, pod, review_of


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
        assert not home.asked_of_anchore
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
