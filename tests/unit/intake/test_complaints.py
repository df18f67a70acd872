"""A sender who is always wrong is in the log once a minute."""

import pytest

from services.intake.complaints import Complaints
from tests.fakes.clock import FakeClock


def test_each_kind_is_said_once_a_minute_with_what_was_not_said(
    caplog: pytest.LogCaptureFixture,
) -> None:
    clock = FakeClock()
    complaints = Complaints(clock=clock)
    for _ in range(1_000):
        complaints.say("a", "wrong", sender="10.0.0.1")
    complaints.say("b", "wrong too")
    clock.advance(60_000)
    complaints.say("a", "wrong", sender="10.0.0.2")
    said = [(record.getMessage(), vars(record)["unsaid"]) for record in caplog.records]
    assert said == [("wrong", 0), ("wrong too", 0), ("wrong", 999)]
