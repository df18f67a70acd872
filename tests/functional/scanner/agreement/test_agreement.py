"""What a real Engine said of an image, said again; or the reason why not."""

import itertools

import pytest

from tests.agreement import (
    NAMED,
    Answer,
    Change,
    Check,
    Listing,
    agreement,
    agrees,
    checks,
    listings,
    ours,
)

SAME = [check for check in checks() if check.name not in NAMED]
OTHER = [check for check in checks() if check.name in NAMED]


def name_of(check: Check) -> str:
    return check.name


def explained(check: Check, reasons: tuple[Change, ...]) -> Answer:
    answer = check.theirs
    for reason in reasons:
        answer = reason(check, answer)
    return answer


@pytest.mark.parametrize("check", SAME, ids=name_of)
def test_the_scanner_says_what_engine_said(check: Check) -> None:
    assert agrees(ours(check), check.theirs), (ours(check), check.theirs)


@pytest.mark.parametrize("check", OTHER, ids=name_of)
def test_a_difference_is_exactly_what_its_reasons_make_of_engines_answer(check: Check) -> None:
    assert ours(check) == explained(check, NAMED[check.name])


@pytest.mark.parametrize("check", OTHER, ids=name_of)
def test_no_reason_is_named_that_makes_no_difference(check: Check) -> None:
    reasons = NAMED[check.name]

    for fewer in itertools.combinations(reasons, len(reasons) - 1):
        assert not agrees(ours(check), explained(check, fewer))


def test_every_named_recording_is_there_and_all_others_agree() -> None:
    found = agreement()

    assert set(found.named) == set(NAMED)
    assert len(found.counted) + len(found.named) == len(checks()) == 55
    assert found.percent == 100


@pytest.mark.parametrize("listing", listings(), ids=lambda listing: str(listing.name))
def test_the_same_vulnerabilities_are_found(listing: Listing) -> None:
    assert listing.ours == listing.found


def test_what_is_compared_has_every_kind_of_outcome() -> None:
    """A comparison of nothing but passes would agree with anything."""
    told = [check.theirs.told for check in SAME if check.theirs.told]

    assert {one.final_action for one in told} == {"go", "warn", "stop"}
    assert {one.final_action_reason for one in told} == {
        "policy_evaluation",
        "whitelisted",
        "blacklisted",
    }
    assert {row[2] for one in told for row in one.rows} == {
        "blacklist",
        "effective_user",
        "exposed_ports",
        "instruction",
        "package",
        "stale_feed_data",
        "vulnerability_data_unavailable",
    }
