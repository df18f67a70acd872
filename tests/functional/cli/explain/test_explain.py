"""`imagegate explain`: the whole way of an image, from records that workers signed."""

from shared.adapters.signatures import load_sealer, new_keys
from shared.domain.errors import ErrorKind
from shared.domain.pointer import DAY, MINUTE, Manifest
from shared.domain.signing import Kind
from shared.domain.verdict import (
    Outcome,
    Question,
    Subject,
    Verdict,
    verdict_key,
)
from tests.functional.cli.explain.rig import DIGEST, INDEX, PINNED, REPOSITORY, STOP, TAG, Rig

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


async def test_nothing_is_known(rig: Rig) -> None:
    ran = await rig.explain(TAG)
    assert ran.code == 1
    assert f"denied {TAG}" in ran.out
    assert "rule: default (mode enforce, asks the active policy)" in ran.out
    assert f"pointer {TAG}: nobody has asked its registry lately" in ran.out
    assert "so: pending" in ran.out
    assert "to make it pass: a verdict" in ran.out
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
    sealed = rig.exception("e1")
    await rig.served.exceptions.put(sealed, exception_id="e1", ends=rig.now + 3 * 60 * MINUTE)
    way = await rig.way()
    assert (way["state"], way["allowed"]) == ("excepted", True)
    assert way["exceptions"] == ["e1: CVE-1+openssl, by ada (no fix yet), ends in 3 h"]


async def test_what_holds_nothing_to_judge_is_an_error(rig: Rig) -> None:
    service = rig.state / "service.yaml"
    service.write_text("kind: Service\napiVersion: v1\nmetadata: {name: a}\n")
    ran = await rig.explain(str(service))
    assert ran.code == 2
    assert "only these are judged" in ran.err


async def test_a_file_that_is_not_there_is_an_error_and_no_image(rig: Rig) -> None:
    for named in ("pod.yaml", "./pod.yml", str(rig.state / "pod")):
        ran = await rig.explain(named)
        assert (ran.code, ran.out) == (2, "")
        assert f"there is no file {named}" in ran.err


async def test_what_nobody_asked_about_is_not_said_to_be_under_way(rig: Rig) -> None:
    ran = await rig.explain(TAG)
    assert "under way" not in ran.out
    assert ran.out.count(f"pointer {TAG}") == 1
    assert "so: pending, not judged yet" in ran.out
    assert f"imagegate scan {TAG} --wait" in ran.out


async def test_what_is_told_does_not_send_its_reader_to_itself(rig: Rig) -> None:
    await rig.point()
    await rig.judge(Outcome.FAIL, STOP)
    ran = await rig.explain(TAG)
    assert "so: fail, refused by policy baseline: CRITICAL CVE-1" in ran.out
    assert "imagegate explain" not in ran.out


async def test_beside_a_verdict_nothing_is_said_to_be_unknown(rig: Rig) -> None:
    await rig.point()
    await rig.judge(Outcome.PASS)
    assert "nothing is known" not in (await rig.explain(TAG)).out


async def test_an_immutable_tag_is_young_for_a_week(rig: Rig) -> None:
    await rig.point(age=2 * DAY)
    await rig.judge(Outcome.PASS)
    file = rig.state / "rules.yaml"
    file.write_text(
        'apiVersion: imagegate.dev/v1\nregistries: [{host: registry.corp, immutableTags: ["1"]}]\n'
    )
    (pointer, *_) = (await rig.way(IMAGEGATE_RULES=str(file)))["way"]
    assert pointer.endswith(
        "(asked 2 d ago: young enough, the rules say that this tag never moves)"
    )


async def test_a_pod_that_asks_its_registry_each_time_is_told_by_what_it_said_last(
    rig: Rig,
) -> None:
    await rig.point()
    await rig.judge(Outcome.PASS)
    pod = rig.state / "pod.yaml"
    pod.write_text(
        f"kind: Pod\napiVersion: v1\nmetadata: {{name: web}}\nspec:\n"
        f'  containers: [{{name: a, image: "{TAG}", imagePullPolicy: Always}}]\n'
    )
    for pin in ("pods", "none"):
        way = await rig.way(str(pod), IMAGEGATE_PIN=pin)
        assert (way["state"], way["allowed"]) == ("pass", True)
        assert "its registry is asked first, and is taken here to say the same" in way["way"][0]


async def test_an_image_alone_has_the_pull_policy_that_an_api_server_gives_it(rig: Rig) -> None:
    latest = f"{REPOSITORY}:latest"
    await rig.point(reference=latest)
    (pointer, *_) = (await rig.way(REPOSITORY))["way"]
    assert pointer.startswith(f"pointer {latest}: ")
    assert "its registry is asked first" in pointer


async def test_the_settings_of_the_webhooks_are_those_that_its_processes_have(rig: Rig) -> None:
    await rig.point()
    await rig.judge(Outcome.PASS)
    await rig.revise()
    unpinned = await rig.way(IMAGEGATE_PIN="none")
    assert unpinned["allowed"]
    assert not any("/mutate" in line for line in unpinned["way"])
    served = await rig.way()
    assert (served["state"], served["says"]) == (
        "pass",
        "the policy has changed since, it is judged anew",
    )
    strict = await rig.way(IMAGEGATE_POLICY_GRACE="0")
    assert (strict["state"], strict["allowed"]) == ("pending", False)
    assert "the policy has changed since it was judged" in strict["says"]


async def test_a_tag_that_a_rule_leaves_alone_and_wants_pinned_names_that_rule(rig: Rig) -> None:
    await rig.point()
    await rig.judge(Outcome.PASS)
    file = rig.state / "rules.yaml"
    file.write_text(
        "apiVersion: imagegate.dev/v1\n"
        "rules: [{name: bare, match: {namespaces: [default]}, pin: none}]\n"
    )
    way = await rig.way(IMAGEGATE_RULES=str(file))
    assert (way["rule"], way["state"]) == ("bare", "unpinned")
    assert "rule bare" in way["remedy"]
    assert "tags: allow" in way["remedy"]


async def test_a_tag_whose_registry_is_away_is_told_as_a_review_is(rig: Rig) -> None:
    await rig.fail_to_resolve("registry.corp does not answer")
    way = await rig.way()
    assert (way["state"], way["allowed"]) == ("unpinned", False)
    assert "registry.corp does not answer" in way["says"]
    assert "0 s" not in way["says"]
    assert "a digest" in way["remedy"]


async def test_a_tag_that_moved_is_told_by_the_digest_before_as_its_pods_are(rig: Rig) -> None:
    new = "sha256:" + "c" * 64
    await rig.point(new, previous=DIGEST, previous_seen_at=rig.now)
    await rig.judge(Outcome.PASS)
    way = await rig.way()
    assert (way["state"], way["allowed"]) == ("pass", True)
    assert any(f"/mutate writes the digest before, {DIGEST}" in line for line in way["way"])
    await rig.judge(Outcome.FAIL, STOP, digest=new)
    assert (await rig.way())["state"] == "fail"


async def test_keys_that_are_not_the_workers_are_said_to_be_the_reason(rig: Rig) -> None:
    await rig.point()
    await rig.judge(Outcome.PASS)
    new_keys(rig.state / "others")
    ran = await rig.explain(TAG, IMAGEGATE_KEYS=str(rig.state / "others"))
    assert ran.code == 1
    assert "nobody has asked" not in ran.out
    assert "not believed" in ran.out
    assert "IMAGEGATE_KEYS" in ran.out


async def test_a_console_does_not_have_what_is_explained_and_that_is_said(rig: Rig) -> None:
    ran = await rig.explain(TAG, IMAGEGATE_CONSOLE="http://127.0.0.1:1")
    assert ran.code == 2
    assert "REDIS_URL to explain" in ran.err
    assert "changes nothing" not in ran.err


async def test_an_exception_in_the_folder_counts_as_in_the_webhooks(rig: Rig) -> None:
    await rig.point()
    await rig.judge(Outcome.FAIL, STOP)
    folder = rig.state / "exceptions"
    folder.mkdir()
    (folder / "e2.exception").write_bytes(rig.exception("e2"))
    way = await rig.way(IMAGEGATE_EXCEPTIONS=str(folder))
    assert (way["state"], way["allowed"]) == ("excepted", True)
    assert "by an exception of ada: no fix yet" in way["says"]


async def test_a_revoked_exception_is_told_and_counts_for_nothing(rig: Rig) -> None:
    await rig.point()
    await rig.judge(Outcome.FAIL, STOP)
    sealed = rig.exception("e1", revoked=True)
    await rig.served.exceptions.put(sealed, exception_id="e1", ends=rig.now + 3 * 60 * MINUTE)
    way = await rig.way()
    assert (way["state"], way["allowed"]) == ("fail", False)
    assert way["exceptions"] == ["e1: CVE-1+openssl, by ada (no fix yet), revoked"]


async def test_an_exception_of_another_cluster_is_told_and_counts_for_nothing(rig: Rig) -> None:
    await rig.point()
    await rig.judge(Outcome.FAIL, STOP)
    sealed = rig.exception("e1", cluster="staging")
    await rig.served.exceptions.put(sealed, exception_id="e1", ends=rig.now + 3 * 60 * MINUTE)
    for environ in ({"IMAGEGATE_CLUSTER": "production"}, {}):
        way = await rig.way(**environ)
        assert (way["state"], way["allowed"]) == ("fail", False)
        (told,) = way["exceptions"]
        assert told == (
            "e1: CVE-1+openssl, by ada (no fix yet), ends in 3 h; not here: for cluster staging "
            "alone (IMAGEGATE_CLUSTER)"
        )
    way = await rig.way(IMAGEGATE_CLUSTER="staging")
    assert (way["state"], way["allowed"]) == ("excepted", True)
    assert "not here" not in way["exceptions"][0]
