"""The guarantees of `shared.ports.scanner.Scanner`, over both of Anchore's wire formats as a fake
speaks them and over the built-in scanner with its real Syft; by the adapter of the API, and by what
finds out which it is."""

from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from pathlib import Path

import msgspec
import pytest

from services.scanner.settings import ScannerSettings
from services.scanner.wiring import run_scanner
from shared.adapters.anchore.detect import DetectedAnchore, Detection
from shared.adapters.anchore.transport import AnchoreTransport
from shared.adapters.anchore.v1 import AnchoreV1
from shared.adapters.anchore.v2 import AnchoreV2
from shared.adapters.registry.client import RegistryClient
from shared.domain.errors import ErrorKind, PermanentFailure
from shared.domain.rules import RegistryRule, Rules
from shared.domain.verdict import Action, Outcome, Question, Subject, judge
from shared.ports.scanner import Analysis, Scanner
from shared.runtime.clock import SystemClock
from tests.fakes.anchore import FakeAnchore
from tests.fakes.images import Content
from tests.fakes.registry import FakeRegistry
from tests.functional.scanner.images import BASE_FILES, NETBASE, debian_image
from tests.waiting import eventually

QUESTION = Question()
GOOD = debian_image(BASE_FILES, NETBASE)
ROOT = debian_image(BASE_FILES, NETBASE, config={"User": "0"})
NOWHERE = "sha256:" + "0" * 64


class World:
    """A scanner, the registry it pulls from, and a way to have the policy refuse a digest."""

    def __init__(
        self, scanner: Scanner, registry: FakeRegistry, refuse: Callable[[str], None]
    ) -> None:
        self.scanner, self.registry, self.refuse = scanner, registry, refuse

    def push(self, content: Content, name: str = "team/app:1") -> Subject:
        reference = self.registry.put(content, name)
        return Subject(reference.repository, content.digest, reference.tag)

    async def analysed(self, subject: Subject) -> Analysis:
        state = (await self.scanner.submit(subject, QUESTION)).state

        async def over() -> bool:
            nonlocal state
            state = (await self.scanner.analysis(subject, QUESTION)).state
            return state in (Analysis.DONE, Analysis.FAILED)

        await eventually(over, within=60)
        return state


SERVERS = ("engine", "enterprise", "built-in")
API = {"engine": "v1", "enterprise": "v2", "built-in": "v1"}


@pytest.fixture(params=SERVERS)
def server(request: pytest.FixtureRequest) -> str:
    """Whose API it is."""
    return str(request.param)


@pytest.fixture(params=["told", "detected"])
async def world(
    request: pytest.FixtureRequest, server: str, tmp_path: Path
) -> AsyncIterator[World]:
    """`told`: the adapter of its API; `detected`: what finds that out."""
    clock = SystemClock()
    async with AsyncExitStack() as stack:
        registry = await stack.enter_async_context(FakeRegistry())
        if server != "built-in":
            fake = await stack.enter_async_context(
                FakeAnchore(analysis_seconds=0.2, api=API[server])
            )
            url, password = fake.url, fake.password
            fake.store.registry_says(NOWHERE, "REGISTRY_IMAGE_NOT_FOUND")

            def refuse(digest: str) -> None:
                fake.store.decide(digest, "stop")
        else:
            rules = Rules(registries=(RegistryRule(registry.host, insecure=True),))
            images = await stack.enter_async_context(
                RegistryClient(rules=lambda: rules, clock=clock)
            )
            settings = ScannerSettings(imagegate_state=tmp_path, imagegate_scanner_port=0)
            running = await stack.enter_async_context(run_scanner(settings, registry=images))
            url, password = running.url, ""

            def refuse(digest: str) -> None:
                """Its own policy refuses images that run as root."""

        transport = await stack.enter_async_context(
            AnchoreTransport(url=url, user="admin", password=password)
        )
        scanner: Scanner
        if request.param == "detected":
            detection = Detection(transport=transport)
            scanner = DetectedAnchore(detection=detection, transport=transport, clock=clock)
        else:
            adapter = AnchoreV2 if API[server] == "v2" else AnchoreV1
            scanner = adapter(transport=transport, clock=clock)
        yield World(scanner, registry, refuse)


async def test_an_image_nobody_submitted_is_unknown(world: World) -> None:
    assert (await world.scanner.analysis(world.push(GOOD), QUESTION)).state is Analysis.UNKNOWN


async def test_a_good_image_is_analysed_and_passes(world: World) -> None:
    subject = world.push(GOOD)
    assert await world.analysed(subject) is Analysis.DONE
    evaluation = await world.scanner.evaluate(subject, QUESTION)
    verdict = judge(subject, QUESTION, evaluation)
    assert (verdict.outcome, verdict.message) == (Outcome.PASS, "")
    assert abs(verdict.evaluated_at - SystemClock().now()) < 60_000
    assert len(verdict.revision) == 64


async def test_a_refused_image_fails_with_the_findings_that_stop_it(world: World) -> None:
    subject = world.push(ROOT)
    world.refuse(ROOT.digest)
    assert await world.analysed(subject) is Analysis.DONE
    verdict = judge(subject, QUESTION, await world.scanner.evaluate(subject, QUESTION))
    assert verdict.outcome is Outcome.FAIL
    assert {finding.action for finding in verdict.stops} == {Action.STOP}


async def test_submitting_again_is_safe_and_tells_the_state(world: World) -> None:
    subject = world.push(GOOD)
    await world.analysed(subject)
    assert (await world.scanner.submit(subject, QUESTION)).state is Analysis.DONE
    assert (await world.scanner.analysis(subject, QUESTION)).state is Analysis.DONE


async def test_another_tag_of_a_known_image_is_unknown_until_it_is_submitted(world: World) -> None:
    await world.analysed(world.push(GOOD))
    second = world.push(GOOD, "team/second:2")
    assert (await world.scanner.analysis(second, QUESTION)).state is Analysis.UNKNOWN
    assert (await world.scanner.submit(second, QUESTION)).state is Analysis.DONE
    verdict = judge(second, QUESTION, await world.scanner.evaluate(second, QUESTION))
    assert verdict.outcome is Outcome.PASS


async def test_a_digest_without_a_tag_is_judged_under_its_own(world: World) -> None:
    subject = msgspec.structs.replace(world.push(GOOD), tag=None)
    assert await world.analysed(subject) is Analysis.DONE
    verdict = judge(subject, QUESTION, await world.scanner.evaluate(subject, QUESTION))
    assert verdict.outcome is Outcome.PASS


async def test_a_digest_that_the_registry_does_not_have_is_not_found(world: World) -> None:
    subject = msgspec.structs.replace(world.push(GOOD), digest=NOWHERE)
    with pytest.raises(PermanentFailure) as caught:
        await world.scanner.submit(subject, QUESTION)
    assert caught.value.kind is ErrorKind.NOT_FOUND


async def test_a_policy_that_the_scanner_does_not_have_is_refused_and_named(world: World) -> None:
    subject = world.push(GOOD)
    await world.analysed(subject)
    with pytest.raises(PermanentFailure, match="nosuch") as caught:
        await world.scanner.evaluate(subject, Question(policy="nosuch"))
    assert caught.value.kind is ErrorKind.MISCONFIGURED


async def test_an_account_that_the_scanner_does_not_have_is_refused_and_named(
    world: World,
) -> None:
    """The built-in scanner has one alone."""
    subject = world.push(GOOD)
    theirs = Question(account="payments")
    with pytest.raises(PermanentFailure, match=r"account payments.* in the rules") as caught:
        await world.scanner.analysis(subject, theirs)
    assert caught.value.kind is ErrorKind.MISCONFIGURED


async def test_a_real_question_tells_which_server_answers(world: World, server: str) -> None:
    assert (await world.scanner.info()).api == API[server]
