"""Dead letters as strangers put them among ours: shown, and ended like any other."""

from datetime import UTC, datetime

import aio_pika
import pytest
from aio_pika.abc import HeadersType
from pamqp.commands import Basic

from shared.domain.step import Lane, encode_step
from tests.contract.queues import Recorder, a_step, consuming, done, until
from tests.integration.letters import ALL, Looker, names_of

pytestmark = pytest.mark.servers


STRANGE: list[HeadersType] = [
    {},
    {"x-death": "yes"},
    {"x-death": []},
    {"x-death": ["yes"]},
    {"x-death": [{"queue": 7, "reason": ["x"], "time": "noon", "count": "many"}]},
    {
        "x-death": [
            {"queue": "q" * 5_000, "reason": "r" * 5_000, "time": datetime(9999, 1, 2, tzinfo=UTC)}
        ]
    },
    {"x-death": [{"queue": "\x00\x1b[31m", "reason": "../..", "time": None}]},
]


async def test_what_strangers_put_among_the_dead_is_shown_bounded_and_can_be_dropped(
    looker: Looker,
) -> None:
    await looker.put(
        *(aio_pika.Message(b"no step", headers=headers) for headers in STRANGE),
        # One id for two, and an id that is no name.
        aio_pika.Message(b"one", message_id="the same"),
        aio_pika.Message(b"two", message_id="the same"),
        aio_pika.Message(b"three", message_id="../../%00"),
    )
    letters = await looker.letters.letters(limit=ALL)
    assert len(letters) == len(set(names_of(letters))) == len(STRANGE) + 3
    assert all(len(letter.lane) <= 200 and len(letter.reason) <= 200 for letter in letters)
    [one] = [letter.id for letter in letters if letter.body == b"one"]
    assert await looker.letters.drop([one]) == done(one)
    left = await looker.letters.letters(limit=ALL)
    assert left == [letter for letter in letters if letter.id != one]
    for letter in left:
        assert await looker.letters.drop([letter.id]) == done(letter.id)
    assert await looker.letters.letters(limit=ALL) == []


class Unreadable(Basic.Properties):
    """Properties as no library writes them: the flags, and what they announce."""

    def __init__(self, written: bytes) -> None:
        super().__init__(message_id="not sent")
        self._written = written

    def marshal(self) -> bytes:
        return self._written


UNREADABLE = {
    "an id that is no UTF-8": b"\x00\x80\x02\xff\xfe",
    "a time after all years": b"\x00\x40" + b"\x7f" * 8,
}


@pytest.mark.parametrize("written", UNREADABLE.values(), ids=UNREADABLE.keys())
async def test_a_message_whose_properties_nobody_can_read_is_handled_like_any_other(
    looker: Looker, written: bytes
) -> None:
    step, got = a_step(), Recorder()
    [name] = await looker.put_steps(1)
    async with await aio_pika.connect(looker.broker.url) as other, other.channel() as channel:
        raw = await channel.get_underlay_channel()
        for queue in ("admission", "dead"):
            await raw.basic_publish(
                encode_step(step),
                routing_key=f"{looker.prefix}.{queue}",
                properties=Unreadable(written),
            )
    letters = await looker.letters.letters(limit=ALL)
    assert [letter.step for letter in letters] == [a_step(id="step-0"), step]
    async with consuming(looker.queue, Lane.ADMISSION, got):
        await until(lambda: bool(got.ended))
        assert (await looker.letters.requeue([letters[1].id])).done
        await until(lambda: len(got.ended) == 2)
    assert got.steps[0] == step
    assert await looker.names() == [name]
