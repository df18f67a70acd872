"""`imagegate explain` while an emergency is in force."""

from typing import Any

import pytest

from shared.adapters.signatures import load_sealer
from shared.domain.emergency import Emergency, emergency_id, ending
from shared.domain.pointer import DAY, MINUTE
from shared.domain.signing import Role
from shared.domain.verdict import (
    Outcome,
)
from tests.fakes.exceptions import emergency, seal_emergency
from tests.functional.cli.explain.rig import STOP, TAG, Rig


def declared(rig: Rig, **changes: Any) -> tuple[Emergency, bytes]:
    one = emergency(now=rig.now, cluster="", **changes)
    sealer = load_sealer(rig.state / "keys", role=Role.OPERATOR)
    return one, seal_emergency(one, sealer=sealer)


async def hold(rig: Rig, one: Emergency, sealed: bytes) -> None:
    name = emergency_id(one.cluster)
    await rig.served.exceptions.put(sealed, exception_id=name, ends=one.made_at + DAY)


async def test_an_emergency_in_force_is_told_loudly_and_the_answer_of_the_rules_beside_it(
    rig: Rig,
) -> None:
    await rig.point()
    await rig.judge(Outcome.FAIL, STOP)
    await hold(rig, *declared(rig, namespaces=("team-*",)))
    ran = await rig.explain(TAG, "--namespace", "team-a")
    assert ran.code == 1, "the rules' answer: it ends by itself"
    head, told, *_ = ran.out.splitlines()
    assert head.startswith("denied ")
    assert told.startswith("  BUT IT PASSES NOW: emergency declared by ada: until 20")
    assert told.endswith(" UTC what would be refused passes here. Redis is broken")
    way = await rig.way(TAG, "--namespace", "team-a")
    assert (way["allowed"], way["emergency"][:27]) == (False, "emergency declared by ada: ")
    assert (await rig.way(TAG, "--namespace", "other"))["emergency"] == ""
    assert (await rig.way(TAG, IMAGEGATE_CLUSTER="prod"))["emergency"] == ""


async def test_an_emergency_of_the_folder_is_told_and_what_ended_it_holds(rig: Rig) -> None:
    await rig.point()
    await rig.judge(Outcome.FAIL, STOP)
    folder = rig.state / "exceptions"
    folder.mkdir()
    one, sealed = declared(rig)
    (folder / "now.exception").write_bytes(sealed)
    told = await rig.way(IMAGEGATE_EXCEPTIONS=str(folder))
    assert told["emergency"].startswith("emergency declared by ada")
    over = ending(one, now=rig.now + 1, reason="mended", owner="bo", cluster="")
    sealer = load_sealer(rig.state / "keys", role=Role.OPERATOR)
    await hold(rig, over, seal_emergency(over, sealer=sealer))
    assert (await rig.way(IMAGEGATE_EXCEPTIONS=str(folder)))["emergency"] == ""


async def test_an_emergency_changes_nothing_of_what_passes_or_a_rule_denies(rig: Rig) -> None:
    await rig.point()
    await rig.judge(Outcome.PASS)
    await hold(rig, *declared(rig))
    assert (await rig.way())["emergency"] == ""
    file = rig.state / "rules.yaml"
    file.write_text("apiVersion: imagegate.dev/v1\ndefault: {mode: deny}\n")
    denied = await rig.way(IMAGEGATE_RULES=str(file))
    assert (denied["allowed"], denied["emergency"]) == (False, "")
    assert (await rig.way("NOT A NAME"))["emergency"] == ""


@pytest.mark.parametrize("wrong", ["forged", "ahead", "ended"])
async def test_an_emergency_that_no_webhook_believes_is_not_told(rig: Rig, wrong: str) -> None:
    await rig.point()
    await rig.judge(Outcome.FAIL, STOP)
    one, sealed = declared(rig)
    if wrong == "forged":
        sealed = seal_emergency(one)
    else:
        made_at = rig.now + (60 * MINUTE if wrong == "ahead" else -2 * 60 * MINUTE)
        one, sealed = declared(rig, made_at=made_at, until=made_at + 60 * MINUTE)
    folder = rig.state / "exceptions"
    folder.mkdir()
    (folder / "now.exception").write_bytes(sealed)
    assert (await rig.way(IMAGEGATE_EXCEPTIONS=str(folder)))["emergency"] == ""
