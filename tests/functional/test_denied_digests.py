"""A rule that denies a digest: whatever a pod writes in its place does not get around it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec
import pytest

from shared.domain.image_pattern import ImagePattern
from shared.domain.reference import ImageReference
from shared.domain.rules import Match, Mode, Rule, Rules, Tags
from tests.fakes.images import index_of, tiny_image
from tests.fakes.workloads import DEPLOYMENT, review_of_workload, workload
from tests.house import House, house, pod, review_of

DENIED = tiny_image(config={"Labels": {"stolen": "1"}})
OTHER = tiny_image(config={"Labels": {"stolen": "0"}})
INDEX = index_of((DENIED, "linux/amd64"))
SAID = f"rule stolen denies {DENIED.digest[:19]}"


class Names(msgspec.Struct, frozen=True):
    """What the registry has."""

    app: ImageReference
    multi: ImageReference
    other: ImageReference

    @property
    def all_of_it(self) -> list[str]:
        """How a pod can name the denied image."""
        app, multi = self.app, self.multi
        index = f"{multi.repository}@{INDEX.digest}"
        return [str(app), f"{app}@{DENIED.digest}", str(multi), f"{multi}@{INDEX.digest}", index]


@asynccontextmanager
async def denying(folder: Path, default: Rule) -> AsyncIterator[tuple[House, Names]]:
    """All else is under `default`."""
    pattern = ImagePattern(f"**@{DENIED.digest}")
    stolen = Rule("stolen", mode=Mode.DENY, match=Match(images=(pattern,)))
    async with house(folder, rules=Rules(default=default, rules=(stolen,))) as home:
        app = home.registry.put(DENIED, "team/app:1")
        multi = home.registry.put(INDEX, "team/multi:1")
        yield home, Names(app, multi, home.registry.put(OTHER, "team/other:1"))


@pytest.mark.parametrize("mode", [Mode.ENFORCE, Mode.WARN, Mode.AUDIT])
async def test_neither_a_tag_nor_an_index_gets_around_a_digest_that_is_denied(
    tmp_path: Path, mode: Mode
) -> None:
    async with denying(tmp_path, Rule(mode=mode, tags=Tags.ALLOW)) as (home, names):
        for image in names.all_of_it:
            # Rules that warn let pass what is not known yet.
            answer = await home.asked_until(
                review_of(pod(image)), lambda answer: answer.code == 403
            )
            assert "rule stolen denies" in answer.message, image
        assert (await home.settled(str(names.other))).allowed


async def test_the_message_tells_which_digest_is_denied(tmp_path: Path) -> None:
    async with denying(tmp_path, Rule()) as (home, names):
        answer = (await home.deployed(pod(str(names.multi)))).answer
        assert (answer.code, SAID in answer.message) == (403, True)
        assert len(answer.message.splitlines()[0]) <= 256


async def test_a_workload_is_advised_of_it_as_a_pod_is_refused(tmp_path: Path) -> None:
    async with denying(tmp_path, Rule()) as (home, names):
        await home.deployed(pod(str(names.multi)))
        review = review_of_workload(DEPLOYMENT, workload(DEPLOYMENT, pod(str(names.multi))["spec"]))
        answer = await home.ask(review)
        assert (answer.code, SAID in answer.message) == (403, True)
