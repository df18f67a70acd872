"""`imagegate prewarm` as a process: what it wants, what is known already, what it prints where."""

import fcntl
import json
import os
import sys
import termios
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from services.worker.ledger import Ledger
from shared.adapters.signatures import load_ring, load_sealer, new_keys
from shared.domain.pointer import DAY, Pointer
from shared.domain.signing import Role
from shared.domain.verdict import Action, Finding, Outcome, Question, Subject, Verdict
from shared.runtime.clock import SystemClock
from tests.fakes.exceptions import exception, seal
from tests.fakes.kubernetes import TOKEN, FakeKubernetes
from tests.functional.cli.beside import beside
from tests.functional.cli.commands import Ran, imagegate, started
from tests.waiting import eventually

REPOSITORY = "registry.corp/team/app"
STOP = Finding("packages", "blacklist", "openssh", Action.STOP, "openssh-server is there")
DIGESTS = {"good": "sha256:" + "a" * 64, "bad": "sha256:" + "b" * 64}
OURS = "create.imagegate.dev"


@pytest.fixture
async def state(tmp_path: Path) -> AsyncIterator[Path]:
    """Beside a process that knows two images: `good` passes, `bad` fails."""
    keys = tmp_path / "keys"
    new_keys(keys)
    async with beside(tmp_path, unsealer=load_ring(keys)) as served:
        ledger = Ledger(
            store=served.store,
            sealer=load_sealer(keys),
            unsealer=load_ring(keys),
            clock=served.clock,
        )
        now = served.clock.now()
        for tag, digest in DIGESTS.items():
            await ledger.write_pointer(Pointer(f"{REPOSITORY}:{tag}", now, digest))
            bad = tag == "bad"
            verdict = Verdict(
                subject=Subject(REPOSITORY, digest, tag),
                question=Question(),
                outcome=Outcome.FAIL if bad else Outcome.PASS,
                evaluated_at=now,
                findings=(STOP,) if bad else (),
                policy_id="baseline",
                stretched=DAY,
            )
            await ledger.write_verdict(verdict, chain="c")
        yield tmp_path


async def prewarm(state: Path, *options: str, **environ: str) -> Ran:
    return await imagegate("prewarm", *options, state=state, **environ)


def listed(folder: Path, *images: str) -> str:
    file = folder / "images"
    file.write_text("\n".join(images))
    return str(file)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ((), "name what to judge: --cluster"),
        (("--images=x", "--tags=1"), "--tags goes with --repository"),
        (("--images=-", "--manifests=-"), "standard input"),
        (("--images=/no/such/file",), "cannot read /no/such/file"),
        (("--repository=a.corp/app:1",), "names an image"),
        (("--cluster",), "no cluster to ask"),
        (("--images=x", "--namespace-label=x"), "KEY=VALUE"),
        (("--cluster", "--kubeconfig=/no/config"), "there is no kubeconfig /no/config"),
    ],
)
async def test_what_cannot_be_done_is_an_error_of_one_line(
    state: Path, options: tuple[str, ...], says: str
) -> None:
    ran = await prewarm(state, *options)
    assert (ran.code, ran.out) == (2, ""), ran
    assert says in ran.err
    assert ran.err.count("\n") == 1


async def test_without_anybody_to_ask_it_says_whom_to_start(tmp_path: Path) -> None:
    ran = await prewarm(tmp_path, "--images", listed(tmp_path, "a:1"))
    assert ran.code == 2
    assert "start `imagegate up`" in ran.err


async def test_a_console_that_only_shows_is_not_enough(tmp_path: Path) -> None:
    ran = await prewarm(
        tmp_path, "--images", listed(tmp_path, "a:1"), IMAGEGATE_CONSOLE="http://127.0.0.1:1"
    )
    assert ran.code == 2
    assert "REDIS_URL and AMQP_URL to have images judged" in ran.err


async def test_less_than_no_time_is_refused(tmp_path: Path) -> None:
    ran = await prewarm(tmp_path, "--images", listed(tmp_path, "a:1"), "--timeout", "-1")
    assert ran.code == 2
    assert "greater than or equal to 0" in ran.err


async def test_all_that_pass_is_exit_code_0(state: Path) -> None:
    ran = await prewarm(state, "--images", listed(state, f"{REPOSITORY}:good"))
    assert (ran.code, ran.err) == (0, ""), ran
    assert "1 image: 1 pass, 0 fail, 0 error" in ran.out
    assert "no rules file was read (IMAGEGATE_RULES)" in ran.out


async def test_one_that_fails_is_exit_code_1_and_a_row(state: Path) -> None:
    images = listed(state, f"{REPOSITORY}:good", f"{REPOSITORY}:bad")
    ran = await prewarm(state, "--images", images)
    assert ran.code == 1, ran
    assert f"{REPOSITORY}:bad" in ran.out
    assert "openssh-server is there" in ran.out
    assert f"{REPOSITORY}:good" not in ran.out


@pytest.mark.parametrize(("cluster", "code"), [("staging", 0), ("production", 1), ("", 1)])
async def test_an_exception_counts_in_the_cluster_that_it_names(
    state: Path, cluster: str, code: int
) -> None:
    new_keys(state / "keys", role=Role.OPERATOR)
    folder = state / "exceptions"
    folder.mkdir()
    one = exception(
        "a1b2",
        now=SystemClock().now(),
        image=f"{REPOSITORY}@{DIGESTS['bad']}",
        namespaces=("*",),
        cluster="staging",
    )
    sealed = seal(one, sealer=load_sealer(state / "keys", role=Role.OPERATOR))
    (folder / "a.exception").write_bytes(sealed)
    ran = await prewarm(
        state,
        *("--images", listed(state, f"{REPOSITORY}:bad")),
        IMAGEGATE_EXCEPTIONS=str(folder),
        IMAGEGATE_CLUSTER=cluster,
    )
    assert ran.code == code, ran


async def test_a_line_that_is_none_is_exit_code_3_and_told_by_its_number(state: Path) -> None:
    ran = await prewarm(state, "--images", listed(state, f"{REPOSITORY}:good", "NOT@AN@IMAGE"))
    assert ran.code == 3, ran
    assert "images:2: " in ran.out


async def test_json_goes_alone_to_standard_output(state: Path) -> None:
    ran = await prewarm(state, "--images", listed(state, f"{REPOSITORY}:bad"), "--output=json")
    document = json.loads(ran.out)
    assert (ran.code, document["exit_code"], ran.err) == (1, 1, "")
    assert document["images"][0]["digest"] == DIGESTS["bad"]


async def test_ctrl_c_ends_it_though_nobody_fills_the_pipe_that_it_reads(state: Path) -> None:
    """As `imagegate prewarm --images -` without anything behind it."""
    pipe = state / "pipe"
    os.mkfifo(pipe)
    async with started("prewarm", "--images", str(pipe), state=state) as command:
        filling = await _once_it_is_read(pipe)
        try:
            command.interrupt()
            assert await command.ended() == 130
            await command.printed("stopped while it was read what to judge: nothing was asked for")
        finally:
            os.close(filling)


async def test_standard_input_is_read_to_its_end_also_at_a_terminal(state: Path) -> None:
    async with started("prewarm", "--images=-", state=state, terminal=True) as command:
        command.type(f"{REPOSITORY}:good\nNOT@AN@IMAGE\n\x04".encode())
        await command.printed("not read: standard input:2: ")
        assert await command.ended() == 3


async def _once_it_is_read(pipe: Path) -> int:
    """Its other end, open: something came through, and more is waited for."""

    def is_read() -> bool:
        try:
            opened.append(os.open(pipe, os.O_WRONLY | os.O_NONBLOCK))
        except OSError:  # nobody reads it yet
            return False
        return True

    opened: list[int] = []
    await eventually(is_read, within=60)
    os.write(opened[0], b"# nothing yet\n")
    await eventually(lambda: _bytes_left(opened[0]) == 0, within=60)
    return opened[0]


def _bytes_left(pipe: int) -> int:
    return int.from_bytes(fcntl.ioctl(pipe, termios.FIONREAD, bytes(4)), sys.byteorder)


async def test_a_cluster_is_read_with_its_exempt_namespaces_and_labels(
    state: Path, tmp_path: Path
) -> None:
    rules = tmp_path / "rules.yaml"
    rules.write_text(
        "apiVersion: imagegate.dev/v1\n"
        "rules: [{name: lab, match: {namespaceLabels: {tier: lab}}, mode: warn}]\n"
    )
    async with FakeKubernetes() as fake:
        fake.tokens = set()
        fake.allowed.add("list validatingwebhookconfigurations")
        fake.allowed |= {f"list {kind}" for kind in KINDS}
        for name, labels in {"shop": {}, "lab": {"tier": "lab"}, "infra": {}}.items():
            fake.put(name, dict(labels))
        expression = {
            "key": "kubernetes.io/metadata.name",
            "operator": "NotIn",
            "values": ["infra"],
        }
        fake.lists.webhook(OURS, selector={"matchExpressions": [expression]})
        for namespace in ("shop", "lab", "infra"):
            fake.lists.pod(f"bad-{namespace}", f"{REPOSITORY}:bad", namespace=namespace)
        fake.lists.workload("cronjobs", "night", f"{REPOSITORY}:good", namespace="shop")
        config = kubeconfig(tmp_path, fake)
        ran = await prewarm(
            state, "--cluster", "-o", "json", KUBECONFIG=str(config), IMAGEGATE_RULES=str(rules)
        )
    document = json.loads(ran.out)
    rows = {(row["rule"], row["outcome"]): row for row in document["images"]}
    assert rows["default", "fail"]["namespaces"] == ["shop"]
    assert rows["default", "fail"]["allowed"] is False
    assert (rows["lab", "fail"]["namespaces"], rows["lab", "fail"]["allowed"]) == (["lab"], True)
    assert rows["default", "pass"]["objects"] == ["CronJob shop/night"]
    assert (document["exempt"], document["notes"]) == ({"infra": 1}, [])
    assert (document["totals"]["pods"], document["totals"]["workloads"]) == (2, 1)


@pytest.mark.parametrize("named", ["--kubeconfig=config", "--context=x"])
async def test_who_names_a_cluster_has_manifests_judged_as_in_its_namespaces(
    state: Path, tmp_path: Path, named: str
) -> None:
    async with FakeKubernetes() as fake:
        fake.tokens = set()
        fake.put("shop", {})
        config = kubeconfig(tmp_path, fake)
        manifest = tmp_path / "pod.yaml"
        manifest.write_text(
            "apiVersion: v1\nkind: Pod\nmetadata: {name: p, namespace: shop}\n"
            f"spec: {{containers: [{{name: c, image: '{REPOSITORY}:bad'}}]}}\n"
        )
        rules = tmp_path / "rules.yaml"
        rules.write_text(
            "apiVersion: imagegate.dev/v1\n"
            "rules: [{name: lab, match: {namespaceLabels: {tier: lab}}, mode: warn}]\n"
        )
        ran = await prewarm(
            state,
            f"--manifests={manifest}",
            named.replace("=config", f"={config}"),
            "--output=json",
            KUBECONFIG=str(config),
            IMAGEGATE_RULES=str(rules),
        )
    (row,) = json.loads(ran.out)["images"]
    # Without its labels nobody would know which rule is about it.
    assert (ran.code, row["outcome"], row["rule"]) == (1, "fail", "default")


def kubeconfig(folder: Path, fake: FakeKubernetes, *, token: str = "") -> Path:
    """With one context, `x`, which is the current one."""
    file = folder / "config"
    file.write_text(
        json.dumps(
            {
                "clusters": [{"name": "c", "cluster": {"server": fake.url}}],
                "users": [{"name": "u", "user": {"token": token}}],
                "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u"}}],
                "current-context": "x",
            }
        )
    )
    return file


KINDS = (
    "deployments",
    "statefulsets",
    "daemonsets",
    "replicasets",
    "replicationcontrollers",
    "jobs",
    "cronjobs",
)


async def test_a_kind_that_may_not_be_listed_is_told_and_the_others_are_judged(
    state: Path, tmp_path: Path
) -> None:
    async with FakeKubernetes() as fake:
        fake.allowed |= {f"list {kind}" for kind in KINDS if kind != "cronjobs"}
        fake.put("shop", {})
        fake.lists.pod("web", f"{REPOSITORY}:good", namespace="shop")
        config = kubeconfig(tmp_path, fake, token=TOKEN)
        fake.tokens = set()
        options = ("--cluster", "--context=x", f"--kubeconfig={config}", "-o", "json")
        ran = await prewarm(state, *options)
        assert ran.code == 2
        assert "plain HTTP" in ran.err  # with a token it is not asked so
        config.write_text(config.read_text().replace(TOKEN, ""))
        ran = await prewarm(state, *options)
    document = json.loads(ran.out)
    assert (ran.code, [row["outcome"] for row in document["images"]]) == (3, ["pass"])
    (missed,) = document["not_read"]
    assert missed["where"] == "the cluster's cronjobs"
