"""`imagegate explain`: the whole way of an image, from records that workers signed."""

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from services.worker.ledger import Ledger
from shared.adapters.signatures import load_ring, load_sealer, new_keys
from shared.domain.errors import ErrorKind
from shared.domain.exceptions import ImageException, exception_key
from shared.domain.pointer import DAY, MINUTE, Index, Manifest, Pointer
from shared.domain.revision import Revision
from shared.domain.signing import Kind, Role
from shared.domain.verdict import (
    Action,
    Finding,
    Outcome,
    Question,
    Subject,
    Verdict,
    error_verdict,
    verdict_key,
)
from tests.functional.cli.beside import Beside, beside
from tests.functional.cli.commands import Ran, imagegate

REPOSITORY = "registry.corp/team/app"
TAG = f"{REPOSITORY}:1"
DIGEST = "sha256:" + "a" * 64
INDEX = "sha256:" + "e" * 64
PINNED = f"{TAG}@{DIGEST}"
STOP = Finding("vulnerabilities", "package", "CVE-1+openssl", Action.STOP, "CRITICAL CVE-1")
POD = f"""
kind: Pod
apiVersion: v1
metadata: {{name: web, namespace: team}}
spec:
  containers: [{{name: a, image: "{TAG}"}}]
  initContainers: [{{name: b, image: "NOT A NAME"}}]
---
kind: Service
apiVersion: v1
metadata: {{name: web}}
"""
RULES = """
apiVersion: imagegate.dev/v1
rules:
  - {name: lax, match: {namespaces: [dev]}, mode: warn}
  - {name: pci, match: {labels: {pci: "true"}}, policy: {id: pci}}
default: {turnGrace: 1h}
"""


class Rig:
    """A store with signed records, at the socket that the command asks."""

    def __init__(self, served: Beside, state: Path) -> None:
        self.served = served
        self.state = state
        self.now = served.clock.now()
        keys = state / "keys"
        self._ledger = Ledger(
            store=served.store,
            sealer=load_sealer(keys),
            unsealer=load_ring(keys),
            clock=served.clock,
        )

    async def point(
        self,
        digest: str | None = DIGEST,
        *,
        index: bool = False,
        age: int = 5 * MINUTE,
        **more: Any,
    ) -> None:
        asked_at = self.now - age
        await self._ledger.write_pointer(Pointer(TAG, asked_at, digest, index, **more))

    async def judge(
        self, outcome: Outcome, *findings: Finding, digest: str = DIGEST, **more: Any
    ) -> None:
        verdict = Verdict(
            subject=Subject(REPOSITORY, digest, "1"),
            question=Question(),
            outcome=outcome,
            evaluated_at=self.now - 2 * 60 * MINUTE,
            findings=findings,
            policy_id="baseline",
            revision="f" * 64,
        )
        await self._ledger.write_verdict(msgspec.structs.replace(verdict, **more), chain="c")

    async def fail_to_judge(self, kind: ErrorKind, message: str, *, age: int = 0) -> None:
        subject = Subject(REPOSITORY, DIGEST, "1")
        error = error_verdict(subject, Question(), kind=kind, message=message, now=self.now - age)
        beside = msgspec.structs.replace(error, beside=True)
        await self._ledger.write_verdict(beside, chain="c")

    async def name_manifests(self, *manifests: Manifest) -> None:
        await self._ledger.write_index(Index(INDEX, manifests, self.now - MINUTE))

    async def revise(self) -> None:
        await self._ledger.write_revision(
            Revision(Question(), "baseline", "0" * 64, self.now - MINUTE, since=self.now - MINUTE)
        )

    async def explain(self, what: str, *options: str, **environ: str) -> Ran:
        return await imagegate("explain", what, *options, state=self.state, **environ)

    async def ways(self, what: str, *options: str, **environ: str) -> list[dict[str, Any]]:
        ran = await self.explain(what, "-o", "json", *options, **environ)
        assert ran.code in (0, 1), ran.err
        ways: list[dict[str, Any]] = json.loads(ran.out)
        return ways

    async def way(self, what: str = TAG, *options: str, **environ: str) -> dict[str, Any]:
        (way,) = await self.ways(what, *options, **environ)
        return way


@pytest.fixture
async def rig(tmp_path: Path) -> AsyncIterator[Rig]:
    new_keys(tmp_path / "keys")
    new_keys(tmp_path / "keys", role=Role.OPERATOR)
    async with beside(tmp_path, unsealer=load_ring(tmp_path / "keys")) as served:
        yield Rig(served, tmp_path)


async def test_nothing_is_known(rig: Rig) -> None:
    ran = await rig.explain(TAG)
    assert ran.code == 1
    assert f"denied {TAG}" in ran.out
    assert "rule: default (mode enforce, asks the active policy)" in ran.out
    assert f"pointer {TAG}: nobody has asked its registry yet" in ran.out
    assert "so: pending" in ran.out
    assert "to make it pass: time" in ran.out
    assert "IMAGEGATE_RULES" in ran.out


async def test_a_pass_is_told_with_pointer_and_verdict_and_how_old_both_are(rig: Rig) -> None:
    await rig.point()
    await rig.judge(Outcome.PASS)
    ran = await rig.explain(TAG)
    assert ran.code == 0
    assert f"pointer {TAG}: {DIGEST} (asked 5 min ago: used at once" in ran.out
    assert "pinned: /mutate writes this digest behind it" in ran.out
    assert f"verdict of aaaaaaaaaaaa as {TAG}: pass by policy baseline" in ran.out
    assert "(2 h ago, stale: asked again behind the answer)" in ran.out
    assert "to make it pass" not in ran.out


async def test_a_fail_is_told_with_every_finding_and_what_to_do(rig: Rig) -> None:
    await rig.point()
    await rig.judge(Outcome.FAIL, STOP, turned_at=rig.now - 2 * DAY)
    way = await rig.way()
    assert (way["state"], way["allowed"]) == ("fail", False)
    assert way["findings"] == [
        "stop: CRITICAL CVE-1 (vulnerabilities/package, trigger id CVE-1+openssl)"
    ]
    assert f"imagegate allow {PINNED} --namespace default" in way["remedy"]
    assert "  it passed until 2 d ago" in way["way"]


async def test_a_rule_of_the_file_decides_by_namespace_and_grace(rig: Rig) -> None:
    await rig.point()
    await rig.judge(Outcome.FAIL, STOP, turned_at=rig.now - 30 * MINUTE)
    file = rig.state / "rules.yaml"
    file.write_text(RULES)
    rules = {"IMAGEGATE_RULES": str(file)}
    turned = await rig.way(**rules)
    assert (turned["rule"], turned["state"], turned["allowed"]) == ("default", "turned", True)
    lax = await rig.way(TAG, "--namespace", "dev", **rules)
    assert (lax["rule"], lax["mode"], lax["state"], lax["allowed"]) == ("lax", "warn", "fail", True)


async def test_a_rule_that_adds_is_a_way_of_its_own(rig: Rig) -> None:
    await rig.point()
    await rig.judge(Outcome.PASS)
    file, pod = rig.state / "rules.yaml", rig.state / "pod.yaml"
    file.write_text(RULES)
    pod.write_text(POD.replace("namespace: team", 'namespace: team, labels: {pci: "true"}'))
    ways = await rig.ways(str(pod), IMAGEGATE_RULES=str(file))
    told = [(way["place"], way["rule"], way["adds"], way["state"]) for way in ways]
    assert ("containers/a", "default", False, "pass") in told
    assert ("containers/a", "pci", True, "pending") in told


async def test_a_pod_is_told_place_by_place(rig: Rig) -> None:
    await rig.point()
    await rig.judge(Outcome.PASS)
    pod = rig.state / "pod.yaml"
    pod.write_text(POD)
    ran = await rig.explain(str(pod))
    assert ran.code == 1
    assert f"allowed Pod team/web containers/a: {TAG}" in ran.out
    assert "denied Pod team/web initContainers/b: NOT A NAME" in ran.out
    assert "so: invalid" in ran.out


async def test_an_index_is_as_good_as_the_worst_of_its_manifests(rig: Rig) -> None:
    bad = "sha256:" + "b" * 64
    await rig.point(INDEX, index=True)
    await rig.name_manifests(
        Manifest(DIGEST, "linux", "amd64", exact=True), Manifest(bad, "linux", "amd64", "v3")
    )
    await rig.judge(Outcome.PASS)
    await rig.judge(Outcome.FAIL, STOP, digest=bad)
    way = await rig.way()
    assert way["state"] == "fail"
    assert f"index {INDEX}: linux/amd64 aaaaaaaaaaaa, linux/amd64 bbbbbbbbbbbb" in way["way"]


async def test_the_last_error_and_a_changed_policy_are_told(rig: Rig) -> None:
    await rig.point()
    await rig.judge(Outcome.PASS)
    await rig.fail_to_judge(ErrorKind.TRANSIENT, "Anchore does not answer", age=10 * MINUTE)
    await rig.revise()
    text = "\n".join((await rig.way())["way"])
    assert "policy now: baseline, revision 000000000000, seen first 6" in text
    assert "last error of aaaaaaaaaaaa" in text
    assert "Anchore does not answer (10 min ago, over)" in text


async def test_what_could_not_be_judged_says_why(rig: Rig) -> None:
    await rig.point()
    await rig.fail_to_judge(ErrorKind.ANALYSIS_FAILED, "the layers are damaged")
    way = await rig.way()
    assert (way["state"], way["allowed"]) == ("error", False)
    assert "the layers are damaged" in way["says"]
    assert "imagegate scan" in way["remedy"]


async def test_a_tag_that_its_registry_does_not_know_is_an_error(rig: Rig) -> None:
    await rig.point(None, age=0, error=ErrorKind.NOT_FOUND, message="no such tag")
    way = await rig.way()
    assert way["state"] == "error"
    assert any("not_found: no such tag" in line for line in way["way"])


async def test_a_record_that_nobody_we_trust_signed_is_told_and_counts_for_nothing(
    rig: Rig,
) -> None:
    await rig.point()
    await rig.judge(Outcome.PASS)
    other = rig.state / "thief"
    new_keys(other)
    key = verdict_key(Subject(REPOSITORY, DIGEST, "1"), Question())
    verdict = Verdict(
        Subject(REPOSITORY, DIGEST, "1"), Question(), Outcome.PASS, rig.now, policy_id="forged"
    )
    ends = rig.now + DAY
    sealed = load_sealer(other).seal(verdict, kind=Kind.VERDICT, key=key, order=rig.now, ends=ends)
    await rig.served.store.put(sealed, key=key, ends=ends)
    way = await rig.way()
    assert way["state"] == "pending"
    assert any("not believed" in line for line in way["way"])


async def test_a_signed_exception_is_told_with_its_end(rig: Rig) -> None:
    await rig.point()
    await rig.judge(Outcome.FAIL, STOP)
    exception = ImageException(
        image=REPOSITORY,
        findings=("CVE-1+openssl",),
        namespaces=("*",),
        reason="no fix yet",
        owner="ada",
        expires=rig.now + 3 * 60 * MINUTE,
        id="e1",
        made_at=rig.now,
    )
    sealed = load_sealer(rig.state / "keys", role=Role.OPERATOR).seal(
        exception,
        kind=Kind.EXCEPTION,
        key=exception_key("e1"),
        order=exception.made_at,
        ends=exception.expires,
    )
    await rig.served.exceptions.put(sealed, exception_id="e1", ends=exception.expires)
    way = await rig.way()
    assert (way["state"], way["allowed"]) == ("excepted", True)
    assert way["exceptions"] == ["e1: CVE-1+openssl, by ada (no fix yet), ends in 3 h"]


async def test_what_holds_nothing_to_judge_is_an_error(rig: Rig) -> None:
    service = rig.state / "service.yaml"
    service.write_text("kind: Service\napiVersion: v1\nmetadata: {name: a}\n")
    ran = await rig.explain(str(service))
    assert ran.code == 2
    assert "only these are judged" in ran.err
