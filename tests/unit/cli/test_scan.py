import pytest

from services.cli.scan import NotJudged, verdict_of
from services.cli.scans import ImageState
from shared.domain.decision import State
from shared.runtime.clock import SystemClock

pytestmark = pytest.mark.virtual_time

IMAGE = "a.example/b:1"
BEGAN = 1_750_000_000_000


class Told:
    """Tells one state after the other, the last one for ever."""

    def __init__(self, *states: ImageState) -> None:
        self._states = list(states)
        self.asked = 0

    async def state(self) -> ImageState:
        self.asked += 1
        return self._states.pop(0) if len(self._states) > 1 else self._states[0]


def state(state: State, known_at: int = 0, message: str = "") -> ImageState:
    return ImageState(image=IMAGE, state=state, message=message, known_at=known_at)


async def wait(scans: Told, before: ImageState, *, timeout: float = 5.0) -> ImageState:
    return await verdict_of(
        scans.state,
        before=before,
        began=BEGAN,
        timeout=timeout,
        clock=SystemClock(),
        poll=0.001,
    )


async def test_a_pending_image_is_asked_about_until_it_is_judged() -> None:
    done = state(State.PASS, BEGAN + 5_000)
    scans = Told(state(State.PENDING), state(State.PENDING), done)
    assert await wait(scans, state(State.PENDING)) == done
    assert scans.asked == 3


async def test_the_verdict_from_before_is_not_the_answer() -> None:
    old = state(State.PASS, BEGAN - 60_000)
    new = state(State.FAIL, BEGAN + 5_000)
    assert await wait(Told(old, old, new), old) == new


async def test_a_scanner_whose_clock_is_behind_still_answers_when_its_time_changes() -> None:
    old = state(State.PASS, BEGAN - 120_000)
    new = state(State.PASS, BEGAN - 60_000)
    assert await wait(Told(old, new), old) == new


async def test_an_evaluation_in_the_same_second_counts_as_new() -> None:
    same = state(State.PASS, BEGAN - 400)
    assert await wait(Told(same), same) == same


@pytest.mark.parametrize(
    ("told", "words"),
    [
        (
            state(State.PENDING, message="anchore is down"),
            r"not judged after 0\.05 s \(pending\): anchore is down",
        ),
        (state(State.STORE_DOWN), r"not judged after 0\.05 s \(store_down\)"),
        (state(State.PASS, BEGAN - 60_000), r"no newer verdict after 0\.05 s, the last is pass"),
    ],
)
async def test_what_is_never_judged_ends_with_the_last_word(told: ImageState, words: str) -> None:
    with pytest.raises(NotJudged, match=f"{words}.*`imagegate queue`"):
        await wait(Told(told), told, timeout=0.05)
