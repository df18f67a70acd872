"""How long an exception may be asked for."""

import pytest

from services.cli.break_glass.durations import lifetime, moment
from shared.domain.errors import InvalidException
from shared.domain.pointer import DAY, MINUTE


@pytest.mark.parametrize(
    ("text", "life"),
    [("1m", MINUTE), ("90m", 90 * MINUTE), ("2h", 120 * MINUTE), ("30d", 30 * DAY)],
)
def test_a_number_and_its_unit(text: str, life: int) -> None:
    assert lifetime(text) == life


@pytest.mark.parametrize("text", ["", "2", "h", "-2h", "2.5h", "2h30m", "1w", "10s", "\u0662h"])
def test_anything_else_is_no_duration(text: str) -> None:
    with pytest.raises(InvalidException, match=r"is no duration.*such as 2h"):
        lifetime(text)


@pytest.mark.parametrize("text", ["0m", "0d", "31d", "721h", "999999d"])
def test_none_is_without_an_end_and_none_lasts_longer_than_a_month(text: str) -> None:
    with pytest.raises(InvalidException, match=f"must be 1m to 30d, not {text}"):
        lifetime(text)


def test_a_moment_is_told_as_the_rules_file_has_it() -> None:
    assert moment(1_800_000_000_999) == "2027-01-15T08:00:00Z"
