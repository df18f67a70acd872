"""The platforms of a cluster's nodes: which count, from when, and for how long."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.domain.platform import platform_of
from shared.domain.platforms import (
    GONE_AFTER,
    MAX_PLATFORMS,
    Platforms,
    PlatformSeen,
    PlatformTerms,
    assumed,
    platforms_key,
)
from shared.domain.pointer import FOREVER, MINUTE
from shared.domain.rules import DEFAULT_PLATFORMS, Rules
from shared.domain.verdict import MAX_AGE

NOW = 1_800_000_000_000
GRACE = 60 * MINUTE
AMD, ARM, S390 = "linux/amd64", "linux/arm64", "linux/s390x"
SAYS = Rules(platforms=(S390,))


def seen(platform: str = AMD, *, since: int = 0, judged: bool = True) -> PlatformSeen:
    at = NOW - since
    return PlatformSeen(platform, at, NOW, judged_at=at if judged else 0)


def record(*platforms: PlatformSeen, at: int = NOW) -> Platforms:
    return Platforms("", at, platforms)


def names(found: Platforms) -> list[str]:
    return [each.platform for each in found.platforms]


def test_a_platform_counts_once_what_is_in_use_has_been_judged_for_it() -> None:
    new = record(seen(AMD), seen(ARM, judged=False))
    assert new.counted(NOW, GRACE) == (AMD,)
    assert new.judged([ARM], NOW).counted(NOW, GRACE) == (AMD, ARM)


def test_a_platform_counts_at_last_when_the_grace_is_over() -> None:
    new = record(seen(AMD), seen(ARM, judged=False))
    assert new.counted(NOW + GRACE - 1, GRACE) == (AMD,)
    assert new.counted(NOW + GRACE, GRACE) == (AMD, ARM)


def test_without_grace_a_platform_counts_at_once() -> None:
    assert record(seen(AMD), seen(ARM, judged=False)).counted(NOW, 0) == (AMD, ARM)


def test_it_is_known_when_time_alone_makes_another_one_count() -> None:
    new = record(seen(AMD), seen(ARM, since=10 * MINUTE, judged=False))
    assert new.changes_at(NOW, GRACE) == NOW + 50 * MINUTE
    assert record(seen(AMD)).changes_at(NOW, GRACE) == FOREVER
    two = record(seen(S390, judged=False), *new.platforms)
    assert two.changes_at(NOW, GRACE) == NOW + 50 * MINUTE


def test_images_are_judged_for_platforms_that_do_not_count_yet() -> None:
    assert record(seen(AMD), seen(ARM, judged=False)).all == (AMD, ARM)


def test_a_platform_that_is_seen_again_keeps_its_beginning() -> None:
    before = record(seen(AMD, since=GRACE), seen(ARM, judged=False, since=MINUTE))
    after = before.seeing([ARM, AMD], NOW + 5)
    assert [(each.since, each.seen_at) for each in after.platforms] == [
        (NOW - GRACE, NOW + 5),
        (NOW - MINUTE, NOW + 5),
    ]
    assert after.new == after.platforms[1:]


def test_a_platform_counts_on_for_a_day_after_its_last_node_went() -> None:
    before = record(seen(AMD), seen(ARM))
    assert names(before.seeing([AMD], NOW + GONE_AFTER - 1)) == [AMD, ARM]
    assert names(before.seeing([AMD], NOW + GONE_AFTER)) == [AMD]


def test_one_that_is_new_keeps_no_other_that_has_been_gone_for_a_day() -> None:
    gone = record(seen(AMD), seen(ARM)).seeing([AMD, S390], NOW + GONE_AFTER)
    assert names(gone) == [AMD, S390]


def test_what_counted_before_anybody_looked_stays_while_one_that_took_its_place_is_new() -> None:
    before = msgspec.structs.replace(seen(AMD), seen_at=0)
    looked = record(before, seen(S390)).seeing([ARM, S390], NOW + 1)
    assert names(looked) == [AMD, S390, ARM]


def test_a_platform_that_comes_back_after_that_is_new() -> None:
    gone = record(seen(AMD), seen(ARM)).seeing([AMD], NOW + GONE_AFTER)
    assert [each.platform for each in gone.seeing([AMD, ARM], NOW + 2 * GONE_AFTER).new] == [ARM]


def test_an_empty_list_changes_nothing() -> None:
    before = record(seen(AMD), seen(ARM))
    assert before.seeing([], NOW + 10 * GONE_AFTER) == before


def test_what_counted_before_anybody_looked_counts_until_others_have_taken_its_place() -> None:
    first = assumed("", NOW).seeing([ARM], NOW + 1)
    assert first.counted(NOW + 1, GRACE) == DEFAULT_PLATFORMS
    later = first.judged([ARM], NOW + 2)
    assert later.counted(NOW + 3, GRACE) == (AMD, ARM)
    assert later.seeing([ARM], NOW + 4).counted(NOW + 4, GRACE) == (ARM,)


def test_a_cluster_of_what_counted_before_anybody_looked_changes_nothing() -> None:
    assert assumed("", NOW).seeing([AMD], NOW + 1).counted(NOW + 1, GRACE) == (AMD,)
    assert assumed("", NOW).seeing([AMD], NOW + 1).new == ()


def test_where_every_one_counted_before_anybody_looked_none_is_new() -> None:
    """A record that was deleted, or has ended, must not begin the grace anew."""
    first = assumed("", NOW, every=True)
    assert (first.counted(NOW, GRACE), first.all) == (None, None)

    looked = first.seeing([AMD, ARM], NOW + 1)

    assert looked.counted(NOW + 1, GRACE) == (AMD, ARM)
    assert looked.seeing([AMD, ARM, S390], NOW + 2).counted(NOW + 2, GRACE) == (AMD, ARM)


def test_a_platform_that_came_while_there_were_too_many_counts_when_they_are_gone() -> None:
    """Nodes that lie must not buy a time without a platform that there is."""
    lies = [f"linux/made{at}" for at in range(MAX_PLATFORMS - 1)]
    full = record(seen(AMD)).seeing([AMD, *lies], NOW)
    came = full.seeing([AMD, ARM], NOW + 1)
    assert came.counted(NOW + 1, GRACE) is None

    later = NOW + GONE_AFTER + 2
    assert came.seeing([AMD, ARM], later).counted(later, GRACE) == (AMD, ARM)
    assert full.seeing([AMD, ARM], NOW + 1).seeing([AMD], later).counted(later, GRACE) == (AMD,)


def test_a_platform_that_was_new_when_there_were_too_many_counts_when_they_are_gone() -> None:
    """Each one counted meanwhile: a grace after that would be one too many."""
    lies = [f"linux/made{at}" for at in range(MAX_PLATFORMS - 1)]
    full = record(seen(AMD), seen(ARM, judged=False)).seeing([AMD, ARM, *lies], NOW)
    assert full.too_many
    later = NOW + GONE_AFTER
    after = full.seeing([AMD, ARM], later)
    assert after.new == ()
    assert after.counted(later, GRACE) == (AMD, ARM)


def test_two_records_that_together_name_too_many_have_every_one_count() -> None:
    half = MAX_PLATFORMS // 2
    one = record(*(seen(f"linux/made{at}") for at in range(half)))
    other = record(*(seen(f"linux/made{at}") for at in range(half, 2 * half)))
    assert len(one.beside(other).platforms) == MAX_PLATFORMS
    assert not one.beside(other).too_many
    more = record(*other.platforms, seen(AMD))
    for together in (one.beside(more), more.beside(one)):
        assert together.counted(NOW, GRACE) is None


def test_a_record_that_names_none_hides_none() -> None:
    """It would be one by which every image passes for no manifest at all."""
    assert record().counted(NOW, GRACE) == DEFAULT_PLATFORMS
    assert record().all == DEFAULT_PLATFORMS
    assert record(seen(ARM, judged=False)).counted(NOW, GRACE) == DEFAULT_PLATFORMS


def test_beside_a_record_of_too_many_every_one_counts() -> None:
    many = record(seen(AMD)).seeing([AMD, *(f"linux/made{at}" for at in range(20))], NOW)
    for together in (record(seen(AMD)).beside(many), many.beside(record(seen(AMD)))):
        assert together.counted(NOW, GRACE) is None


def test_of_too_many_platforms_every_one_counts() -> None:
    names_ = [f"linux/made{at}" for at in range(MAX_PLATFORMS)]
    many = record(seen(AMD)).seeing([*names_, AMD], NOW)
    assert (len(many.platforms), many.too_many) == (MAX_PLATFORMS, True)
    assert many.platforms[0].platform == AMD
    assert many.counted(NOW, GRACE) is None
    assert many.all is None


def test_each_record_is_newer_than_the_one_it_follows() -> None:
    """Also by a clock that is behind: the store keeps the newest."""
    before = record(seen(AMD), seen(ARM, judged=False))
    for after in (before.seeing([AMD], NOW - 500), before.judged([ARM], NOW - 500)):
        assert after.at > before.at
    assert before.ends_at == NOW + MAX_AGE


def test_what_has_been_judged_for_one_platform_has_been_for_no_other() -> None:
    new = record(seen(AMD, since=GRACE), seen(ARM, judged=False), seen(S390, judged=False))
    judged = new.judged([AMD, ARM], NOW + 1)
    assert [each.judged_at for each in judged.platforms] == [NOW - GRACE, NOW + 1, 0]


@pytest.mark.parametrize("other_at", [NOW - 5, NOW + 5])
def test_two_that_saw_a_platform_know_when_it_came_when_it_was_last_there_and_if_it_is_new(
    other_at: int,
) -> None:
    early = PlatformSeen(ARM, NOW - GRACE, NOW - 10)
    late = PlatformSeen(ARM, NOW - MINUTE, NOW)
    for one, other in ((early, late), (late, early)):
        both = record(one).beside(record(other, at=other_at))
        assert both.platforms == (PlatformSeen(ARM, NOW - GRACE, NOW),)
        assert both.at > max(NOW, other_at - 1)


def test_two_records_say_together_what_both_know() -> None:
    """A record that somebody had forgotten, or an older one that was put back, takes nothing."""
    known = record(seen(AMD), seen(ARM, since=GRACE))
    put_back = record(seen(AMD, since=MINUTE), at=NOW - 5)
    again = record(seen(AMD), seen(ARM, judged=False))
    for stored in (put_back, again):
        assert {each.platform: each.judged_at for each in stored.beside(known).platforms} == {
            AMD: min(each.judged_at for each in (known.platforms[0], stored.platforms[0])),
            ARM: NOW - GRACE,
        }
    assert known.beside(None) == known


def test_the_rules_have_the_last_word() -> None:
    for terms in (PlatformTerms(), PlatformTerms(needed=True), PlatformTerms(read=False)):
        assert terms.key(SAYS) == ""
        for found in (None, record(seen(ARM))):
            assert terms.counted(SAYS, found, now=NOW, grace=GRACE) == (S390,)
            assert terms.to_judge(SAYS, found) == (S390,)


@pytest.mark.parametrize(
    ("inventory", "without", "with_it"),
    [
        ("auto", DEFAULT_PLATFORMS, (ARM,)),
        ("on", None, (ARM,)),
        ("off", DEFAULT_PLATFORMS, DEFAULT_PLATFORMS),
    ],
)
def test_without_a_record_every_platform_counts_where_there_has_to_be_one(
    inventory: str, without: object, with_it: object
) -> None:
    terms = PlatformTerms.told(cluster="prod", inventory=inventory)
    rules, found = Rules(), record(seen(ARM))
    assert terms.key(rules) == ("" if inventory == "off" else platforms_key("prod"))
    assert terms.counted(rules, None, now=NOW, grace=GRACE) == without
    assert terms.to_judge(rules, None) == without
    assert terms.counted(rules, found, now=NOW, grace=GRACE) == with_it
    assert terms.to_judge(rules, found) == with_it


@pytest.mark.parametrize(
    ("system", "machine", "platform"),
    [
        ("linux", "amd64", AMD),
        ("Linux", "aarch64", ARM),
        ("linux", "AArch64", ARM),
        ("linux", "x86_64", AMD),
        ("linux", "x86-64", AMD),
        ("linux", "armhf", "linux/arm"),
        ("linux", "i386", "linux/386"),
        ("windows", "amd64", "windows/amd64"),
        ("", "", ""),
        ("linux", "", ""),
        ("linux", "amd64/v9", ""),
        ("linux\n", " amd64", AMD),
        ("lin ux", "amd64", ""),
        ("linux", "a" * 32, ""),
        ("лinux", "amd64", ""),
    ],
)
def test_what_a_node_tells_is_a_platform_or_nothing(
    system: str, machine: str, platform: str
) -> None:
    assert platform_of(system, machine) == platform


@given(st.text(), st.text())
def test_whatever_a_node_tells_is_short_and_plain(system: str, machine: str) -> None:
    platform = platform_of(system, machine)
    assert platform.isascii()
    assert len(platform) <= 64
    assert platform == "" or platform.count("/") == 1
