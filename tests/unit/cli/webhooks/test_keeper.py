"""In which order configurations come and go, and what is waited for."""

from collections.abc import Callable
from typing import Any

import pytest

from services.cli.webhooks.configurations import Address, Wanted
from services.cli.webhooks.handshake import NotBelieved
from services.cli.webhooks.keeper import IN_A_ROW, ORDER, Deployed, Keeper, NotOurs, NotReady
from shared.domain.errors import ClusterMisconfigured, ClusterUnreachable
from shared.ports.webhook_configurations import Live, Rollout, Which

OURS = "gate/one"
DEPLOYED = Deployed("gate", "imagegate-webhook")
READY = Rollout(wanted=3, updated=3, available=3, replicas=3, seen=True)


class Clock:
    """Each look takes ten seconds."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def now(self) -> int:
        return int(self.seconds * 1000)

    def monotonic(self) -> float:
        self.seconds += 10
        return self.seconds


class Cluster:
    """One in memory; `does` is what was done to it, in order."""

    def __init__(self, *rollouts: Rollout, **live: Live) -> None:
        self.live = {which: live[which.name] for which in Which if which.name in live}
        self.does: list[str] = []
        self.fails: list[Exception] = []
        self.removed_meanwhile = False
        """Somebody takes all away just before the next apply."""
        self.refuses: Exception | None = None
        """What the Deployment may not be looked at for."""
        self._rollouts = list(rollouts) or [READY]

    async def get(self, which: Which) -> Live | None:
        if self.fails:
            raise self.fails.pop()
        return self.live.get(which)

    async def apply(
        self, which: Which, document: dict[str, Any], *, only: Live | None = None
    ) -> None:
        if self.removed_meanwhile:
            self.removed_meanwhile = False
            self.live.clear()
        if only is not None and self.live.get(which) != only:
            raise ClusterUnreachable("uid mismatch")
        self.does.append(f"apply {which.called}")

    async def relax(self, which: Which, live: Live) -> None:
        assert self.live[which] == live
        self.does.append(f"relax {which.called}")

    async def delete(self, which: Which) -> None:
        self.does.append(f"delete {which.called}")

    async def rollout(self, namespace: str, deployment: str) -> Rollout:
        assert (namespace, deployment) == ("gate", "imagegate-webhook")
        if self.refuses is not None:
            raise self.refuses
        found = self._rollouts[0]
        del self._rollouts[: len(self._rollouts) > 1]
        return found


def keeper_of(cluster: Cluster, say: Callable[[str], object] = str) -> Keeper:
    """One that does not sleep between two looks."""
    return Keeper(configurations=cluster, clock=Clock(), say=say, pause=0.0)


def wanted(policy: str = "Fail", *, pins: bool = True) -> Wanted:
    documents = {which: {"webhooks": [{"failurePolicy": policy}]} for which in Which}
    if not pins:
        del documents[Which.MUTATING]
    return Wanted(documents, OURS, frozenset({Address("gate", 443)}), "PEM")


class Shaking:
    """Handshakes of which the first fail."""

    def __init__(self, *, fails: int = 0) -> None:
        self.fails = fails
        self.shaken = 0

    async def __call__(self, address: Address) -> None:
        self.shaken += 1
        if self.fails:
            self.fails -= 1
            raise NotBelieved(f"{address} cannot be called")


async def applied(
    cluster: Cluster,
    one: Wanted,
    shaking: Shaking | None = None,
    within: float = 1000,
    *,
    present: bool = False,
) -> list[str]:
    said: list[str] = []
    handshake = shaking or Shaking()
    await keeper_of(cluster, said.append).apply(
        one, deployed=DEPLOYED, handshake=handshake, within=within, present=present
    )
    return said


def live(installation: str = OURS, *, policy: str = "Fail") -> Live:
    return Live(installation, {"create.imagegate.dev": policy})


async def test_what_is_kept_in_step_is_only_what_is_there() -> None:
    cluster = Cluster(VALIDATING=live())
    said = await applied(cluster, wanted(), present=True)
    assert cluster.does == ["apply imagegate"]
    assert "MutatingWebhookConfiguration zz-imagegate is not there, and stays away" in said


async def test_what_is_removed_while_it_is_kept_in_step_does_not_come_back() -> None:
    """The Job that does it may run while Helm removes the release, webhooks and all."""
    cluster = Cluster(VALIDATING=live(), MUTATING=live())
    cluster.removed_meanwhile = True
    said = await applied(cluster, wanted(), present=True)
    assert cluster.does == []
    assert said[-1] == "ValidatingWebhookConfiguration imagegate is not there, and stays away"


@pytest.mark.parametrize("pins", [True, False], ids=["applied", "taken away"])
async def test_what_is_changed_while_it_is_kept_in_step_stays_as_it_is(*, pins: bool) -> None:
    """An upgrade to audit may come between the file that the Job read and what it does with it."""
    cluster = Cluster(VALIDATING=live(), MUTATING=live())

    async def upgraded_meanwhile(address: Address) -> None:
        cluster.live = dict.fromkeys(Which, live(policy="Ignore"))

    said: list[str] = []
    await keeper_of(cluster, said.append).apply(
        wanted(pins=pins),
        deployed=DEPLOYED,
        handshake=upgraded_meanwhile,
        within=0,
        present=True,
    )
    assert cluster.does == []
    assert said == [f"{which} was changed meanwhile, and stays as it is" for which in ORDER]


async def test_without_time_it_is_looked_once_whether_the_webhooks_answer() -> None:
    cluster = Cluster(VALIDATING=live())
    shaking = Shaking(fails=1)
    with pytest.raises(NotReady):
        await applied(cluster, wanted(), shaking, within=0, present=True)
    assert (cluster.does, shaking.shaken) == ([], 1)
    await applied(cluster, wanted(), within=0, present=True)
    assert cluster.does == ["apply imagegate"]


async def test_pinning_comes_before_judging_once_the_webhooks_answer() -> None:
    cluster = Cluster()
    shaking = Shaking()
    said = await applied(cluster, wanted(), shaking)
    assert cluster.does == ["apply zz-imagegate", "apply imagegate"]
    assert shaking.shaken == IN_A_ROW
    assert said[-1] == "applied ValidatingWebhookConfiguration imagegate"


@pytest.mark.parametrize(
    ("rollout", "says"),
    [
        (Rollout(wanted=0, updated=0, available=0, replicas=0, seen=True), "wants no pods"),
        (Rollout(wanted=3, updated=3, available=3, replicas=3, seen=False), "not rolled out yet"),
        (Rollout(wanted=3, updated=1, available=3, replicas=4, seen=True), "has 1 of 3 pods"),
        (Rollout(wanted=3, updated=3, available=2, replicas=3, seen=True), "2 pods are available"),
        (Rollout(wanted=3, updated=3, available=3, replicas=4, seen=True), "1 are old"),
    ],
)
async def test_webhooks_that_are_not_all_of_this_version_are_waited_for(
    rollout: Rollout, says: str
) -> None:
    cluster = Cluster(rollout, rollout, READY)
    said = await applied(cluster, wanted())
    assert [line for line in said if line.startswith("waiting: ")] == said[:1]
    assert says in said[0]
    assert cluster.does == ["apply zz-imagegate", "apply imagegate"]


async def test_a_certificate_that_is_not_believed_is_waited_for_from_the_beginning() -> None:
    cluster = Cluster()
    shaking = Shaking(fails=2)
    await applied(cluster, wanted(), shaking)
    assert shaking.shaken == 2 + IN_A_ROW


async def test_what_does_not_come_up_in_time_changes_nothing() -> None:
    cluster = Cluster(VALIDATING=live())
    with pytest.raises(NotReady) as raised:
        await applied(cluster, wanted(), Shaking(fails=1000), within=60)
    assert cluster.does == []
    assert "gate:443 cannot be called; the webhook configurations are as they were" in str(
        raised.value
    )


async def test_what_can_refuse_nothing_waits_for_nobody() -> None:
    cluster = Cluster(Rollout(wanted=3, updated=0, available=0, replicas=0, seen=True))
    shaking = Shaking(fails=1000)
    await applied(cluster, wanted("Ignore"), shaking)
    assert shaking.shaken == 0
    assert cluster.does == ["apply zz-imagegate", "apply imagegate"]


async def test_a_configuration_that_is_not_wanted_any_more_goes() -> None:
    cluster = Cluster(MUTATING=live(), VALIDATING=live())
    await applied(cluster, wanted(pins=False))
    assert cluster.does == ["delete zz-imagegate", "apply imagegate"]


async def test_the_one_that_can_refuse_is_relaxed_and_removed_first() -> None:
    cluster = Cluster(MUTATING=live(), VALIDATING=live())
    keeper = keeper_of(cluster)
    await keeper.relax(OURS, within=60)
    await keeper.remove(OURS, within=60)
    assert cluster.does == [
        *("relax imagegate", "relax zz-imagegate"),
        *("delete imagegate", "delete zz-imagegate"),
    ]


async def test_what_is_not_there_need_not_be_taken_away() -> None:
    cluster = Cluster()
    keeper = keeper_of(cluster)
    await keeper.relax(OURS, within=60)
    await keeper.remove(OURS, within=60)
    assert cluster.does == []


Acts = Callable[[Keeper], Any]


@pytest.mark.parametrize(
    "acts",
    [
        lambda keeper: keeper.relax(OURS, within=60),
        lambda keeper: keeper.remove(OURS, within=60),
        lambda keeper: keeper.apply(wanted(), deployed=None, handshake=Shaking(), within=60),
    ],
)
async def test_another_installation_is_left_alone(acts: Acts) -> None:
    cluster = Cluster(MUTATING=live(), VALIDATING=live("gate/two"))
    with pytest.raises(NotOurs, match=r"belongs to the installation gate/two.*kubectl delete"):
        await acts(keeper_of(cluster))
    assert cluster.does == []


async def test_one_that_does_not_say_whose_it_is_is_taken_over() -> None:
    cluster = Cluster(VALIDATING=live(""))
    await applied(cluster, wanted())
    assert cluster.does == ["apply zz-imagegate", "apply imagegate"]


async def test_an_api_server_that_is_away_is_asked_again_and_a_missing_right_is_said() -> None:
    cluster = Cluster()
    cluster.fails = [ClusterUnreachable("away")]
    said = await applied(cluster, wanted())
    assert said[0] == "again: away"
    cluster.fails = [ClusterMisconfigured("bind the role")]
    with pytest.raises(ClusterMisconfigured, match="bind the role"):
        await applied(cluster, wanted())


async def test_a_deployment_that_may_not_be_looked_at_is_not_waited_for() -> None:
    cluster = Cluster()
    cluster.refuses = ClusterMisconfigured("bind the role")
    with pytest.raises(ClusterMisconfigured, match="bind the role"):
        await applied(cluster, wanted())
    assert cluster.does == []
