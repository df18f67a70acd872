"""One look at everything: what one part tells comes to the others that need it."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from services.cli.doctor.asking import heard
from services.cli.doctor.checkup import Asked, checkup
from services.cli.doctor.remarks import Level, Remark, unasked
from services.console.view import PartReport, StatusReport
from shared.adapters.rules_file.loading import load_rules
from shared.domain.errors import InvalidRules, InvalidSettings, StoreUnreachable
from shared.ports.decisions import DecisionRecord, StoredDecision
from shared.ports.presence import Alive, Beat
from tests.unit.cli.doctor.fake_cluster import Cluster

pytestmark = pytest.mark.virtual_time

REDIS = "redis://webhook@redis.team:6379/0"


def beat(service: str, number: int = 0, **told: Any) -> Alive:
    return Alive(Beat(f"{service}@x:{number}:a", service, "1.0", 0, **told), 0)


class Ops:
    """Servers of which each is well."""

    def __init__(self) -> None:
        self.parts: tuple[PartReport, ...] = (PartReport("store", True, "answers", 1.0),)
        self.alive = [beat("webhook", 1), beat("webhook", 2), beat("worker")]
        self.made: list[StoredDecision] = []
        self.fails: Exception | None = None

    async def status(self) -> StatusReport:
        if self.fails is not None:
            raise self.fails
        return StatusReport(ok=True, parts=self.parts, facts={})

    async def processes(self) -> tuple[Alive, ...]:
        return tuple(self.alive)

    async def decisions(self, *, limit: int, after: str = "") -> tuple[StoredDecision, ...]:
        assert not after
        return tuple(self.made[:limit])


class Installation:
    """What is asked, each of it well."""

    def __init__(self, folder: Path) -> None:
        self.cluster = Cluster()
        self.ops = Ops()
        self.file = folder / "rules.yaml"
        self.rules("allowRegistries: [docker.io]", "default: {mode: enforce}")
        self.urls: tuple[str, ...] = ()
        self.pinning = True
        self.keys = lambda: "the public keys can be read"

    def rules(self, *lines: str) -> None:
        self.file.write_text("\n".join(("apiVersion: imagegate.dev/v1", *lines)))

    async def remarks(self, **other: Any) -> list[Remark]:
        ops: Any = self.ops
        told: dict[str, Any] = {
            "cluster": self.cluster,
            "ops": ops,
            "rules": lambda: load_rules(self.file),
            "keys": self.keys,
            "urls": self.urls,
            "namespace": "team",
            "pinning": self.pinning,
        }
        return [remark async for remark in checkup(Asked(**told | other))]


@pytest.fixture
def installation(tmp_path: Path) -> Installation:
    return Installation(tmp_path)


def said(remarks: list[Remark], level: Level) -> list[str]:
    return [f"{each.part}: {each.said}" for each in remarks if each.level is level]


async def test_of_what_is_well_nothing_is_bad(installation: Installation) -> None:
    remarks = await installation.remarks()
    assert said(remarks, Level.BAD) == said(remarks, Level.UNASKED) == []
    parts = {each.part for each in remarks}
    assert parts >= {"kubernetes", "webhooks", "store", "processes", "rules", "keys"}


async def test_whoever_cannot_be_asked_is_said_and_the_others_are_asked(
    installation: Installation,
) -> None:
    out = {part: unasked(part, f"no {part}", "") for part in ("cluster", "ops", "rules", "keys")}
    remarks = await installation.remarks(**out)
    assert remarks == list(out.values())
    for part, remark in out.items():
        remarks = await installation.remarks(**{part: remark})
        assert said(remarks, Level.UNASKED) == [f"{part}: no {part}"]


async def test_a_part_that_fails_is_no_error_of_the_whole(installation: Installation) -> None:
    installation.ops.fails = StoreUnreachable("connection refused")
    remarks = await installation.remarks()
    assert said(remarks, Level.UNASKED) == ["servers: connection refused"]
    assert "keys: the public keys can be read" in said(remarks, Level.GOOD)


async def test_a_part_that_hangs_is_left_alone_after_a_while() -> None:
    async def hang() -> str:
        await asyncio.Event().wait()
        return ""

    told = await heard("store", hang, patience=0.01)
    assert told == unasked("store", "no answer within 0.01 s", "look whether it is up")


async def test_webhooks_that_are_ready_and_that_nobody_hears_are_bad(
    installation: Installation,
) -> None:
    """The API server sees two ready ones, Redis has heard of one."""
    installation.ops.alive = [beat("webhook"), beat("worker")]
    (told,) = said(await installation.remarks(), Level.BAD)
    assert told.startswith("processes: 2 webhooks are ready and 1 were heard in Redis")


def shares_a_redis(installation: Installation, *ours: Alive) -> None:
    """It is `a`, and the other one, `b`, is well."""
    env = [{"name": "IMAGEGATE_CLUSTER", "value": "a"}]
    for pod in installation.cluster.objects["Pod"]:
        pod["spec"] = {"containers": [{"env": env}]}
    theirs = (beat("webhook", number, cluster="b") for number in (3, 4, 5))
    installation.ops.alive = [*ours, *theirs, beat("worker")]


async def test_of_clusters_that_share_a_redis_only_its_own_webhooks_count(
    installation: Installation,
) -> None:
    shares_a_redis(installation)
    ready, none = said(await installation.remarks(), Level.BAD)
    assert ready.startswith("processes: 2 webhooks are ready and 0 were heard in Redis")
    assert none == "processes: no webhook was heard"

    shares_a_redis(installation, beat("webhook", cluster="a"))
    remarks = await installation.remarks()
    (ready,) = said(remarks, Level.BAD)
    assert ready.startswith("processes: 2 webhooks are ready and 1 were heard in Redis")
    assert any("only one webhook runs" in each for each in said(remarks, Level.WARN))

    shares_a_redis(installation, *(beat("webhook", each, cluster="a") for each in (1, 2)))
    remarks = await installation.remarks()
    assert said(remarks, Level.BAD) == []
    notes = [each for each in said(remarks, Level.NOTE) if each.startswith("processes: ")]
    assert notes == [
        "processes: 2 webhook, 1 worker, version 1.0",
        "processes: 3 webhooks of other clusters were heard, too (b), and are not counted: this "
        "one is a",
    ]


async def test_what_is_wrong_with_another_clusters_webhooks_is_not_told_as_ours(
    installation: Installation,
) -> None:
    shares_a_redis(installation, *(beat("webhook", each, cluster="a") for each in (1, 2)))
    wrong = {"certificate_ends": 1, "away": ("store",)}
    installation.ops.alive.append(beat("webhook", 9, cluster="b", **wrong))
    remarks = await installation.remarks()
    assert said(remarks, Level.BAD) == []
    assert not [each for each in said(remarks, Level.WARN) if each.startswith("processes: ")]
    installation.ops.alive.append(beat("worker", 9, away=("store",)))
    (told,) = (
        each for each in said(await installation.remarks(), Level.WARN) if "processes: " in each
    )
    assert told == "processes: worker@x:9:a does not reach store"


async def test_where_pods_do_not_tell_which_cluster_it_is_whoever_asks_does(
    installation: Installation,
) -> None:
    shares_a_redis(installation)
    out = unasked("kubernetes", "no kubeconfig", "")
    remarks = await installation.remarks(cluster=out, called="a")
    assert said(remarks, Level.BAD) == ["processes: no webhook was heard"]

    remarks = await installation.remarks(cluster=out)
    assert said(remarks, Level.BAD) == []
    assert "processes: 3 webhook, 1 worker, version 1.0" in said(remarks, Level.NOTE)
    installation.ops.alive.append(beat("webhook", 1, cluster="a"))
    _, told = said(await installation.remarks(cluster=out), Level.UNASKED)
    assert told.startswith("processes: webhooks of several clusters were heard (a, b), and which")

    # What the pods are told counts before it.
    remarks = await installation.remarks(called="b")
    assert any("2 webhooks are ready and 1 were heard" in each for each in said(remarks, Level.BAD))


async def test_a_certificate_that_a_webhook_shows_is_looked_at(installation: Installation) -> None:
    installation.ops.alive[0] = beat("webhook", certificate_ends=1)
    (told,) = said(await installation.remarks(), Level.BAD)
    assert told.startswith("certificates: a webhook shows a certificate that ended")


async def test_nodes_of_a_platform_that_rules_do_not_name_are_told(
    installation: Installation,
) -> None:
    installation.rules("platforms: [linux/amd64]", "allowRegistries: [docker.io]")
    told = [each for each in said(await installation.remarks(), Level.WARN) if "rules: " in each]
    assert told[0].startswith("rules: the cluster has nodes of linux/arm64")


async def test_a_server_in_a_namespace_that_is_judged_is_told(installation: Installation) -> None:
    installation.urls = (REDIS, "amqp://u@rabbitmq.imagegate.svc:5672/")
    remarks = await installation.remarks()
    (bad,) = said(remarks, Level.BAD)
    assert bad.startswith("dependencies: redis.team is in team, which is not exempt")
    (good,) = (each for each in said(remarks, Level.GOOD) if "dependencies" in each)
    assert good.endswith("rabbitmq.imagegate.svc is in imagegate, which is exempt")


async def test_pods_that_somebody_makes_again_are_told(installation: Installation) -> None:
    made = {"kind": "Pod", "operation": "CREATE", "namespace": "db", "name": "pg-0", "user": "op"}
    told: dict[str, Any] = {"at": 1, "allowed": True, "state": "pass", "code": 200, "times": 9}
    record = DecisionRecord(**told | made, images=("pg:1",), reason="", rule="")
    installation.ops.made = [StoredDecision("1", record)]
    (warned,) = (
        each for each in said(await installation.remarks(), Level.WARN) if "made again" in each
    )
    assert "op created the pod db/pg-0 9 times" in warned


@pytest.mark.parametrize("part", ["rules", "keys"])
async def test_a_file_that_cannot_be_used_is_bad(part: str, installation: Installation) -> None:
    def fail() -> Any:
        raise (InvalidRules if part == "rules" else InvalidSettings)("it is no file")

    (told,) = said(await installation.remarks(**{part: fail}), Level.BAD)
    assert told == f"{part}: it is no file"


async def test_where_nothing_is_pinned_by_choice_nothing_is_missed(
    installation: Installation,
) -> None:
    installation.cluster.objects["MutatingWebhookConfiguration"] = []
    assert len(said(await installation.remarks(), Level.BAD)) == 1
    installation.pinning = False
    assert said(await installation.remarks(), Level.BAD) == []
