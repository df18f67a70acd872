"""The numbers that docs/design/behaviour.md names are the code's, where nobody sets others."""

import re
from pathlib import Path

import pytest

from services.webhook.entries import RECHECK
from services.webhook.settings import WebhookSettings
from services.worker.rounds import MOST_TURNED
from services.worker.settings import WorkerSettings
from shared.domain.errors import ErrorKind
from shared.domain.pointer import (
    DAY,
    FRESH_ERROR,
    MINUTE,
    POINTER_MAX_AGE,
    SECOND,
    YOUNG,
    YOUNG_ALWAYS,
)
from shared.domain.retry import DELAYS, MAX_POLL
from shared.domain.verdict import FRESH_FAIL, FRESH_PASS, MAX_AGE, MAX_FRESH
from shared.ports.claims import MAX_OF_A_TENANT
from shared.ports.usage import USED_FOR

TEXT = " ".join(
    (Path(__file__).parents[3] / "docs" / "design" / "behaviour.md").read_text().split()
)
WORKER, WEBHOOK = WorkerSettings(), WebhookSettings()
UNITS = {"s": SECOND, "min": MINUTE, "h": 60 * MINUTE, "d": DAY}

TIMES = [
    ("`fresh_for`: pass {},", FRESH_PASS),
    ("pass 1 h, fail {},", FRESH_FAIL),
    ("error by kind (not found {},", FRESH_ERROR[ErrorKind.NOT_FOUND]),
    ("unauthorised {},", FRESH_ERROR[ErrorKind.UNAUTHORISED]),
    ("refused, misconfigured and untrusted {},", FRESH_ERROR[ErrorKind.REFUSED]),
    ("refused, misconfigured and untrusted {},", FRESH_ERROR[ErrorKind.MISCONFIGURED]),
    ("refused, misconfigured and untrusted {},", FRESH_ERROR[ErrorKind.UNTRUSTED]),
    ("analysis failed {},", FRESH_ERROR[ErrorKind.ANALYSIS_FAILED]),
    ("transient {});", FRESH_ERROR[ErrorKind.TRANSIENT]),
    ("it stretches, up to {}, to what", MAX_FRESH),
    ("served up to `max_age` ({})", MAX_AGE),
    ("| pointer young (Always {},", YOUNG_ALWAYS),
    ("(Always 10 s, else {};", YOUNG),
    ("immutable tag pattern {})", POINTER_MAX_AGE),
    ("older, up to `pointer_max_age` {} |", POINTER_MAX_AGE),
    ("old verdict served up to `policy_grace` ({};", WEBHOOK.imagegate_policy_grace * SECOND),
    ("In use = looked up within {};", USED_FOR),
    ("an entry is re-checked after {} or", RECHECK * SECOND),
    ("then 1 s, up to {}, and longer where", MAX_POLL * SECOND),
]

NUMBERS = [
    (
        "(`IMAGEGATE_PREWARM_ANALYSES`, {} of all workers together)",
        WORKER.imagegate_prewarm_analyses,
    ),
    ("one total budget (default {} requests/s for all workers)", WORKER.imagegate_polls),
    ("budgeted by namespace ({} outstanding each)", MAX_OF_A_TENANT),
    ("of a namespace that has {} new images analysed", MAX_OF_A_TENANT),
]

WORDS = [
    ("`analyzing` for too long (an hour) is freed", WORKER.imagegate_analysis_limit, 3_600),
    ("given up after a day.", WORKER.imagegate_waiting_limit, 86_400),
    ("(`IMAGEGATE_FROM_NOT_CHECKED`: warn, stop or go;", WORKER.imagegate_from_not_checked, "warn"),
    ("more than a fifth of the passes turn is alerted", MOST_TURNED, 5),
]


def said(where: str, what: str) -> tuple[str, ...]:
    """What the text says in the place of `{}`, by a pattern."""
    before, after = map(re.escape, where.split("{}"))
    found = re.search(before + what + after, TEXT)
    assert found, f"the text does not say: {where}"
    return found.groups()


@pytest.mark.parametrize(("where", "milliseconds"), TIMES)
def test_what_is_said_to_last_so_long_does(where: str, milliseconds: float) -> None:
    number, unit = said(where, r"(\d+) (s|min|h|d)")
    assert milliseconds == int(number) * UNITS[unit]


@pytest.mark.parametrize(("where", "number"), NUMBERS)
def test_what_is_said_to_be_so_many_is(where: str, number: float) -> None:
    assert (str(round(number)),) == said(where, r"(\d+)")


@pytest.mark.parametrize(("where", "value", "meant"), WORDS)
def test_what_is_said_in_words_is_so(where: str, value: object, meant: object) -> None:
    assert where in TEXT
    assert value == meant


def test_the_delay_queues_are_those_of_the_ladder() -> None:
    (queues,) = said("delay queues by TTL ({}: docs/adr/0021)", "([^:]*)")
    steps = [step.split() for step in queues.split(", ")]
    assert [int(number) * UNITS[unit] for number, unit in steps] == [
        delay * SECOND for delay in DELAYS
    ]
