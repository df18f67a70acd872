"""What `imagegate status` says of what is in use, and of who keeps it fresh."""

import msgspec

from services.console.caring import NOBODY, caring_facts
from shared.adapters.entries import MAX_BEAT_BYTES, write_beat
from shared.ports.presence import MAX_NAME, MAX_POLICIES, Alive, Beat, Caring, PolicySeen

NOW = 1_750_000_000_000
HOUR = 3_600_000
POLICY = PolicySeen("", "baseline", "f1203e85612e", since=NOW - 3 * HOUR, seen_at=NOW)
CARING = Caring(1.4, surveyed_at=NOW, in_use=120, due=3, replaced=2, policies=(POLICY,))


def worker(name: str = "worker@a:1:x", caring: Caring | None = None) -> Alive:
    return Alive(Beat(name=name, service="worker", version="1", started=1, caring=caring), 0)


def test_what_is_in_use_who_leads_and_which_policy_answers_are_told() -> None:
    assert caring_facts([worker(), worker("worker@b:2:y", CARING)], now=NOW) == {
        "leader": "worker@b:2:y",
        "in use": "120 judged images, 3 about to be renewed, "
        "2 judged by a policy that has been replaced",
        "refresh": "up to 1.4 evaluations a second",
        "policy baseline": "revision f1203e85612e, seen first 3 h ago",
    }


def test_a_policy_of_another_account_says_whose_it_is() -> None:
    other = msgspec.structs.replace(POLICY, account="payments", since=NOW - 5_000)
    facts = caring_facts([worker(caring=Caring(1.0, policies=(other,)))], now=NOW)
    assert facts["policy baseline of payments"] == "revision f1203e85612e, seen first 5 s ago"


def test_who_has_begun_to_lead_has_not_looked_yet() -> None:
    assert caring_facts([worker(caring=Caring(0.5))], now=NOW)["in use"] == "not looked at yet"


def test_where_workers_are_alive_and_none_leads_that_is_said() -> None:
    assert caring_facts([worker(), worker("another")], now=NOW) == {"leader": NOBODY}


def test_without_workers_there_is_nothing_to_say() -> None:
    webhook = Alive(Beat(name="w", service="webhook", version="1", started=1), 0)
    assert caring_facts([webhook], now=NOW) == {}


def test_while_one_hands_over_to_another_the_last_word_counts() -> None:
    later = msgspec.structs.replace(CARING, surveyed_at=NOW + 1, in_use=7)
    facts = caring_facts([worker(caring=CARING), worker("b", later)], now=NOW)
    assert (facts["leader"], facts["in use"][:1]) == ("b", "7")


def test_what_others_wrote_into_a_beat_is_one_line() -> None:
    evil = msgspec.structs.replace(POLICY, policy="a\nb\x1b[31m")
    facts = caring_facts([worker(caring=Caring(1.0, policies=(evil,)))], now=NOW)
    assert not any(sign in "".join(facts) for sign in "\n\x1b")


def test_the_longest_that_a_leader_says_fits_into_a_beat() -> None:
    name = "\u00e9" * MAX_NAME
    longest = PolicySeen(name, name, "f" * 12, since=NOW, seen_at=NOW)
    caring = msgspec.structs.replace(CARING, policies=(longest,) * MAX_POLICIES)
    assert len(write_beat(worker("w" * 100, caring).beat)) < MAX_BEAT_BYTES
