"""A push of what is no image ends quietly; whoever wants to run it is told."""

from collections.abc import AsyncIterator

import pytest

from services.worker.dispatch import Dispatch, Follower, StepOutcome
from services.worker.scanning import Scanning
from shared.adapters.memory.queue import MemoryQueue
from shared.domain.errors import ErrorKind
from shared.domain.reference import ImageReference
from shared.domain.step import Lane
from shared.domain.verdict import Subject, last_error_key, unresolved
from shared.domain.why import Why
from shared.ports.steps import Settle
from tests.fakes.images import (
    Content,
    artifact,
    bill_of_materials,
    helm_chart,
    index_of,
    signature,
    tiny_image,
)
from tests.unit.worker.rig import QUESTION, Rig, rigged

OLD_ARTIFACT = Content("application/vnd.oci.artifact.manifest.v1+json", b'{"blobs": []}')
NO_IMAGES = {
    "chart": helm_chart(),
    "signature": signature(),
    "bill of materials": bill_of_materials(),
    "artifact without content": artifact("application/vnd.acme.rocket.config.v1+json"),
    "artifact of before OCI 1.1": OLD_ARTIFACT,
}
SOME_IMAGES = {
    "with a layer of another type": artifact(
        "application/vnd.acme.config+json", "application/vnd.oci.image.layer.v1.tar+encrypted"
    ),
    "with a layer of no type": artifact("application/vnd.oci.image.config.v1+json", ""),
}

each_kind = pytest.mark.parametrize("content", NO_IMAGES.values(), ids=NO_IMAGES.keys())


class Worker:
    """A rig behind the dispatch that a delivery goes through."""

    def __init__(self, rig: Rig) -> None:
        self.rig = rig
        self.ends: list[StepOutcome] = []
        self.queue = MemoryQueue(clock=rig.clock)
        self.dispatch = Dispatch(
            scan=rig.scan,
            follower=Follower(queue=self.queue),
            on_step=lambda step, outcome: self.ends.append(outcome),
        )

    async def pushed(self, content: Content, *, by_digest: bool = False) -> ImageReference:
        """A push event of `content` went through."""
        reference = self.put(content, by_digest=by_digest)
        step = self.rig.step(why=Why.PREWARM, lane=Lane.PREWARM, reference=reference)
        assert await self.dispatch.handle(step) is Settle.ACK
        return reference

    async def wanted(self, content: Content, *, by_digest: bool = False) -> ImageReference:
        """A pod wanted `content`."""
        reference = self.put(content, by_digest=by_digest)
        assert await self.dispatch.handle(self.rig.step(reference=reference)) is Settle.ACK
        return reference

    def put(self, content: Content, *, by_digest: bool) -> ImageReference:
        reference = self.rig.registry.put(content, "team/thing:1")
        if not by_digest:
            return reference
        return ImageReference(host=reference.host, path=reference.path, digest=content.digest)

    async def judged(self) -> list[str]:
        """Every verdict and error that was written."""
        store = self.rig.store
        return [*await store.keys("verdict:", limit=9), *await store.keys("error:", limit=9)]

    async def scanning(self) -> bool:
        return bool(await self.rig.leases.oldest())


@pytest.fixture
async def worker() -> AsyncIterator[Worker]:
    async with rigged() as rig:
        yield Worker(rig)


@each_kind
@pytest.mark.parametrize("by_digest", [False, True])
async def test_a_push_of_no_image_is_ignored_and_leaves_nothing_behind(
    worker: Worker, content: Content, by_digest: bool
) -> None:
    await worker.pushed(content, by_digest=by_digest)
    assert worker.ends == [StepOutcome.IGNORED]
    assert not await worker.judged()
    assert not await worker.scanning()
    assert not worker.rig.anchore.store.submits
    assert not worker.rig.followed


async def test_an_index_of_nothing_but_no_images_is_ignored(worker: Worker) -> None:
    index = index_of((signature(), None), (bill_of_materials(), None), (OLD_ARTIFACT, None))
    await worker.pushed(index)
    assert worker.ends == [StepOutcome.IGNORED]
    assert not await worker.judged()
    assert not await worker.scanning()


async def test_what_is_no_image_beside_one_is_an_error_and_the_image_is_scanned(
    worker: Worker,
) -> None:
    image, other = tiny_image(), signature()
    reference = await worker.pushed(index_of((other, None), (image, "linux/amd64")))
    assert worker.ends == [StepOutcome.DONE]
    assert worker.rig.anchore.store.submits == {image.digest: 1}
    error = await worker.rig.error(Subject(reference.repository, other.digest, "1"))
    assert error is not None
    assert (error.error, error.why) == (ErrorKind.REFUSED, Why.PREWARM)


@pytest.mark.parametrize("content", SOME_IMAGES.values(), ids=SOME_IMAGES.keys())
async def test_an_image_that_cannot_be_judged_is_an_error_though_nobody_asked(
    worker: Worker, content: Content
) -> None:
    reference = await worker.pushed(content)
    assert worker.ends == [StepOutcome.DONE]
    error = await worker.rig.error(Subject(reference.repository, content.digest, "1"))
    assert error is not None
    assert error.error is ErrorKind.REFUSED
    assert not worker.rig.anchore.store.submits


@each_kind
async def test_whoever_wants_to_run_it_is_told_what_it_is(worker: Worker, content: Content) -> None:
    reference = await worker.wanted(content, by_digest=True)
    assert worker.ends == [StepOutcome.DONE]
    subjects = [unresolved(reference), Subject(reference.repository, content.digest)]
    errors = [error for subject in subjects if (error := await worker.rig.error(subject))]
    assert errors
    for error in errors:
        assert error.error is ErrorKind.REFUSED
        assert "is no container image but " in error.message
    assert not worker.rig.anchore.store.submits


async def test_a_tag_that_names_no_image_has_a_pointer_that_says_so_and_no_error_beside_it(
    worker: Worker,
) -> None:
    reference = await worker.wanted(OLD_ARTIFACT)
    pointer = await worker.rig.ledger.pointer(reference)
    assert pointer is not None
    assert (pointer.digest, pointer.error) == (None, ErrorKind.REFUSED)
    assert not await worker.judged()


async def test_a_check_of_a_push_that_finds_no_image_is_ignored_too(worker: Worker) -> None:
    content = helm_chart()
    reference = worker.put(content, by_digest=False)
    step = worker.rig.step(why=Why.PREWARM, lane=Lane.PREWARM, reference=reference)
    await worker.rig.scan.resolve(step)
    subject = Subject(reference.repository, content.digest, "1")
    check = Scanning(step, subject, step.id, 0, Lane.CHECK_PREWARM).next_check()
    assert await worker.dispatch.handle(check) is Settle.ACK
    assert worker.ends == [StepOutcome.IGNORED]
    assert not await worker.judged()
    assert not await worker.scanning()


async def test_once_it_is_ignored_a_pod_that_wants_it_is_answered(worker: Worker) -> None:
    content = helm_chart()
    await worker.pushed(content)
    reference = await worker.wanted(content)
    subject = Subject(reference.repository, content.digest, "1")
    assert await worker.rig.store.keys(last_error_key(subject, QUESTION), limit=1)
