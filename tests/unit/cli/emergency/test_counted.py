"""In which webhooks holds what was signed just now, as the operator reads it."""

import io

import msgspec
import pytest
from rich.console import Console

from services.cli.command import Exit
from services.cli.emergency.heard import Missed, missed
from services.cli.emergency.table import print_counted, print_emergency
from services.console.emergency_report import EmergencyReport, EmergencyState, emergency_reports
from shared.domain.emergency import Emergency, emergency_id, ending
from shared.ports.presence import Alive, Beat
from tests.fakes.exceptions import HOUR, RING, emergency, seal_emergency

NOW = 1_000 * HOUR
BEFORE = emergency(now=NOW)
ONE = emergency(now=NOW + 1, until=BEFORE.until, namespaces=("team",))
"""It ends when the one before does."""
END = ending(ONE, now=NOW + 2, reason="mended", owner="bo", cluster="prod")
LATER = emergency(now=NOW + 3)


def report(*heard: Emergency | None, stored: Emergency = ONE) -> EmergencyReport:
    """What webhooks tell that heard of these last, w0 first."""
    alive = [Alive(beat(f"w{number}", one), 0) for number, one in enumerate(heard)]
    sealed = {emergency_id("prod"): seal_emergency(stored)}
    (found,) = emergency_reports(sealed, RING, alive, now=NOW + 4)
    return found


def beat(name: str, one: Emergency | None) -> Beat:
    until = one.until if one is not None and one.counts(NOW + 4) else 0
    signed = one.made_at if one is not None else 0
    plain = Beat(name, "webhook", "1", 0, cluster="prod")
    return msgspec.structs.replace(plain, emergency=until, emergency_signed=signed)


def counted(one: Emergency, found: EmergencyReport) -> tuple[Exit, str]:
    out = io.StringIO()
    return print_counted(Console(file=out, width=240), [found], one), out.getvalue()


def test_one_that_counts_everywhere_is_good() -> None:
    assert counted(ONE, report(ONE, ONE)) == (Exit.GOOD, "It counts in 2 of 2 webhooks\n")


def test_that_the_one_before_counts_is_no_answer_though_it_ends_at_the_same_moment() -> None:
    code, said = counted(ONE, report(ONE, BEFORE, None))
    assert code is Exit.BAD
    assert "It counts in 1 of 3 webhooks\n  not heard in w1\n  not heard in w2\n" in said
    assert said.count("Not heard: its log says why") == 1


def test_a_webhook_that_does_not_say_which_it_heard_is_named() -> None:
    older = EmergencyReport(
        EmergencyState.DECLARED, cluster="prod", webhooks=("w0",), counts_in=("w0",)
    )
    assert missed(older, ONE) == {"w0": Missed.NOT_HEARD}
    assert "w0: it does not say which (an older version)" in shown(older)


def test_where_one_holds_that_was_signed_later_this_one_does_not() -> None:
    code, said = counted(ONE, report(LATER, END, stored=LATER))
    assert (code, "It counts in 0 of 2 webhooks" in said) == (Exit.BAD, True)
    assert "one that was signed later holds in w0" in said
    assert "one that was signed later holds in w1" in said


def test_a_webhook_whose_clock_is_past_its_end_is_told() -> None:
    heard = EmergencyReport(
        EmergencyState.DECLARED, cluster="prod", webhooks=("w0",), heard={"w0": ONE.made_at}
    )
    code, said = counted(ONE, heard)
    assert (code, "already over by the clock of w0" in said) == (Exit.BAD, True)


def test_an_end_that_all_heard_is_good() -> None:
    assert counted(END, report(END, END, stored=END)) == (
        Exit.GOOD,
        "It goes on in 0 of 2 webhooks\n",
    )


@pytest.mark.parametrize(("heard", "goes_on"), [(ONE, 1), (BEFORE, 1), (None, 0)])
def test_an_end_that_one_did_not_hear_is_told(heard: Emergency | None, goes_on: int) -> None:
    """Also where none goes on yet: it may have been about to hear of one."""
    code, said = counted(END, report(END, heard, stored=END))
    assert code is Exit.BAD
    assert f"It goes on in {goes_on} of 2 webhooks\n  not heard in w1\n" in said


def test_a_newer_end_ends_it_too_and_a_newer_emergency_does_not() -> None:
    newer = ending(END, now=NOW + 3, reason="mended", owner="bo", cluster="prod")
    assert missed(report(newer, stored=newer), END) == {}
    assert missed(report(LATER, stored=LATER), END) == {"w0": Missed.OTHER}


def test_who_looks_sees_which_webhook_goes_by_another_one() -> None:
    said = shown(report(ONE, BEFORE, None))
    assert "it counts in 1 of 3 webhooks, another one in 1\n  w0\n  w1: another one, sig" in said
    assert "  w2" not in said
    said = shown(report(END, BEFORE, stored=END))
    assert "it counts in 1 of 2 webhooks\n  w1: another one, signed " in said


def shown(found: EmergencyReport) -> str:
    out = io.StringIO()
    print_emergency(Console(file=out, width=240), found)
    return out.getvalue()
