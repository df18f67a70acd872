"""A FROM line that nobody could check is a finding of ours."""

import msgspec
import pytest

from shared.domain.errors import ErrorKind
from shared.domain.exceptions import ImageException, covering
from shared.domain.from_line import MESSAGE, TRIGGER, with_from_unchecked
from shared.domain.reference import parse_reference
from shared.domain.verdict import (
    MAX_FINDINGS,
    Action,
    Finding,
    Outcome,
    Question,
    Subject,
    Verdict,
    error_verdict,
)

NOW = 1_800_000_000_000
REFERENCE = parse_reference("registry.corp/team/app@sha256:" + "a" * 64)
APP = Subject(REFERENCE.repository, "sha256:" + "a" * 64)
PASS = Verdict(APP, Question(), Outcome.PASS, NOW)
SSH = Finding("packages", "blacklist", "ssh", Action.STOP, "openssh-server")
OLD = Finding("vulnerabilities", "package", "CVE-1+x", Action.WARN, "old")


@pytest.mark.parametrize(
    ("action", "outcome"),
    [
        (Action.WARN, Outcome.PASS),
        (Action.GO, Outcome.PASS),
        (Action.STOP, Outcome.FAIL),
    ],
)
def test_what_becomes_of_a_pass_is_the_settings_say(action: Action, outcome: Outcome) -> None:
    verdict = with_from_unchecked(PASS, action)
    assert verdict.outcome is outcome
    assert verdict.findings == (Finding("imagegate", TRIGGER, TRIGGER, action, MESSAGE),)


def test_a_fail_stays_one_and_what_stops_comes_first() -> None:
    fail = msgspec.structs.replace(PASS, outcome=Outcome.FAIL, findings=(SSH, OLD))
    verdict = with_from_unchecked(fail, Action.WARN)
    assert verdict.outcome is Outcome.FAIL
    assert [finding.trigger_id for finding in verdict.findings] == ["ssh", TRIGGER, "CVE-1+x"]


def test_an_error_is_told_as_it_is() -> None:
    error = error_verdict(APP, Question(), kind=ErrorKind.UNTRUSTED, message="no", now=NOW)
    assert with_from_unchecked(error, Action.STOP) == error


def test_findings_stay_bounded() -> None:
    full = msgspec.structs.replace(PASS, findings=(OLD,) * MAX_FINDINGS, findings_dropped=3)
    verdict = with_from_unchecked(full, Action.WARN)
    assert (len(verdict.findings), verdict.findings_dropped) == (MAX_FINDINGS, 4)
    assert verdict.findings[0].trigger_id == TRIGGER


def test_an_exception_can_name_it() -> None:
    exception = ImageException(
        image=REFERENCE.repository,
        findings=(TRIGGER,),
        namespaces=("*",),
        reason="built elsewhere",
        owner="team",
        expires=NOW + 1,
    )
    failed = with_from_unchecked(PASS, Action.STOP)
    assert covering(REFERENCE, failed, [exception], now=NOW) == (exception,)
    other = msgspec.structs.replace(exception, findings=("ssh",))
    assert covering(REFERENCE, failed, [other], now=NOW) == ()
