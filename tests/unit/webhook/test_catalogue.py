"""The stair from reference to judgement, row by row of docs/design/behaviour.md 2."""

from collections.abc import Sequence

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.webhook.catalogue import NODES, Catalogue, Image, Known, Missing, Need
from shared.domain.decision import State
from shared.domain.errors import ErrorKind
from shared.domain.glob import Glob
from shared.domain.platforms import Platforms, PlatformSeen, PlatformTerms, platforms_key
from shared.domain.pointer import (
    FRESH_ERROR,
    MINUTE,
    Index,
    Manifest,
    Pointer,
    index_key,
    pointer_key,
)
from shared.domain.reference import parse_reference
from shared.domain.revision import Revision, revision_key
from shared.domain.rules import RegistryRule, Rules
from shared.domain.verdict import (
    Outcome,
    Question,
    Subject,
    Verdict,
    error_verdict,
    last_error_key,
    unresolved,
    verdict_key,
)

NOW = 1_800_000_000_000
A, B, C = ("sha256:" + letter * 64 for letter in "abc")
REPOSITORY = "docker.io/library/app"
QUESTION = Question()
NO_RULES = Rules()


class Shelf:
    """Records by key, as a store would hold them."""

    def __init__(self) -> None:
        self.records: dict[str, msgspec.Struct] = {}

    def point(
        self,
        digest: str | None,
        *,
        age: int = 0,
        is_index: bool = False,
        previous: str | None = None,
        error: ErrorKind | None = None,
    ) -> "Shelf":
        self.records[pointer_key(parse_reference("app:1"))] = Pointer(
            reference=f"{REPOSITORY}:1",
            asked_at=NOW - age,
            digest=digest,
            is_index=is_index,
            previous=previous,
            error=error,
            message="because" if error else "",
        )
        return self

    def judged(
        self, digest: str, outcome: Outcome = Outcome.PASS, *, tag: str | None = "1", age: int = 0
    ) -> "Shelf":
        subject = Subject(REPOSITORY, digest, tag)
        verdict = Verdict(subject, QUESTION, outcome, NOW - age)
        self.records[verdict_key(subject, QUESTION)] = verdict
        return self

    def erred(
        self, digest: str, kind: ErrorKind, *, tag: str | None = "1", age: int = 0
    ) -> "Shelf":
        subject = Subject(REPOSITORY, digest, tag)
        error = error_verdict(subject, QUESTION, kind=kind, message="because", now=NOW - age)
        self.records[last_error_key(subject, QUESTION)] = error
        return self

    def names(self, digest: str, *manifests: Manifest) -> "Shelf":
        self.records[index_key(digest)] = Index(digest, manifests, NOW)
        return self

    def nodes(self, *platforms: PlatformSeen, cluster: str = "") -> "Shelf":
        self.records[platforms_key(cluster)] = Platforms(cluster, NOW, platforms)
        return self

    def judge(
        self,
        written: str = "app:1",
        *,
        always: bool = True,
        rules: Rules = NO_RULES,
        platforms: PlatformTerms = NODES,
        later: int = 0,
    ) -> Known | Missing:
        image = Image(written, parse_reference(written), always, QUESTION)
        return Catalogue(
            image=image, rules=rules, now=NOW + later, fetch=self.fetch, platforms=platforms
        ).judge()

    def fetch(self, keys: Sequence[str]) -> list[msgspec.Struct | None]:
        return [self.records.get(key) for key in keys]


def state(answer: Known | Missing) -> State:
    assert isinstance(answer, Known)
    return answer.judgement.state


def need(answer: Known | Missing) -> Need:
    assert isinstance(answer, Missing)
    return answer.need


def amd64(digest: str, *, variant: str = "") -> Manifest:
    return Manifest(digest, "linux", "amd64", variant)


def test_a_tag_never_seen_is_requested_and_its_pointer_awaited() -> None:
    answer = Shelf().judge()
    assert need(answer) is Need.REQUEST
    assert isinstance(answer, Missing)
    assert answer.keys == (f"pointer:{REPOSITORY}:1",)


def test_a_young_pointer_and_a_verdict_answer_at_once() -> None:
    assert state(Shelf().point(A).judged(A).judge()) is State.PASS
    assert state(Shelf().point(A).judged(A, Outcome.FAIL).judge()) is State.FAIL


def test_a_verdict_of_another_digest_tag_or_question_is_never_used() -> None:
    assert need(Shelf().point(A).judged(B).judge()) is Need.REQUEST
    assert need(Shelf().point(A).judged(A, tag="2").judge()) is Need.REQUEST
    assert need(Shelf().point(A).judged(A, tag=None).judge()) is Need.REQUEST
    shelf = Shelf().point(A)
    subject = Subject(REPOSITORY, A, "1")
    other = Question(account="other")
    shelf.records[verdict_key(subject, other)] = Verdict(subject, other, Outcome.PASS, NOW)
    assert need(shelf.judge()) is Need.REQUEST


@pytest.mark.parametrize(("age", "young"), [(9_999, True), (10_000, False)])
def test_with_pull_policy_always_an_older_pointer_asks_the_registry_first(
    age: int, young: bool
) -> None:
    answer = Shelf().point(A, age=age).judged(A).judge(always=True)
    assert isinstance(answer, Known) is young
    assert young or need(answer) is Need.RESOLVE


def test_with_another_pull_policy_an_older_pointer_answers_and_is_renewed_behind() -> None:
    answer = Shelf().point(A, age=60_000).judged(A).judge(always=False)
    assert isinstance(answer, Known)
    assert (answer.judgement.state, answer.refresh) == (State.PASS, Need.RESOLVE)


def test_an_immutable_tag_is_not_asked_again() -> None:
    rules = Rules(registries=(RegistryRule("docker.io", immutable_tags=(Glob("1*"),)),))
    answer = Shelf().point(A, age=6 * 86_400_000).judged(A).judge(rules=rules)
    assert isinstance(answer, Known)
    assert answer.refresh is None


def test_a_tag_the_registry_does_not_have_is_an_error_with_the_registrys_reason() -> None:
    answer = Shelf().point(None, error=ErrorKind.NOT_FOUND).judge()
    assert isinstance(answer, Known)
    assert (answer.judgement.state, answer.judgement.message) == (State.ERROR, "because")


def test_a_moved_tag_whose_new_digest_is_not_judged_never_gets_the_old_verdict() -> None:
    answer = Shelf().point(B, previous=A).judged(A).judge()
    assert need(answer) is Need.REQUEST


def test_a_digest_is_known_by_the_verdict_without_a_tag() -> None:
    assert state(Shelf().judged(A, tag=None).judge(f"app@{A}")) is State.PASS
    assert need(Shelf().judged(A, tag="1").judge(f"app@{A}")) is Need.REQUEST


def test_of_tag_and_digest_the_first_valid_verdict_holds_wherever_the_tag_moved() -> None:
    shelf = Shelf().point(B)
    assert state(shelf.judged(A, tag="1").judge(f"app:1@{A}")) is State.PASS
    assert state(Shelf().judged(A, tag=None).judge(f"app:9@{A}")) is State.PASS
    fails = Shelf().judged(A, Outcome.FAIL, tag="1").judged(A, Outcome.PASS, tag=None)
    assert state(fails.judge(f"app:1@{A}")) is State.FAIL


def test_a_stale_verdict_is_served_and_asked_again_behind_the_answer() -> None:
    answer = Shelf().point(A).judged(A, age=3_600_000).judge()
    assert isinstance(answer, Known)
    assert (answer.judgement.state, answer.refresh) == (State.PASS, Need.REQUEST)
    assert answer.subjects == (Subject(REPOSITORY, A, "1"),)


def test_a_verdict_of_an_old_policy_is_served_and_asked_again_behind_the_answer() -> None:
    shelf = Shelf().point(A).judged(A, age=5_000)
    key = verdict_key(Subject(REPOSITORY, A, "1"), QUESTION)
    verdict = shelf.records[key]
    shelf.records[key] = msgspec.structs.replace(verdict, revision="old")
    shelf.records[revision_key(QUESTION)] = Revision(QUESTION, "baseline", "new", seen_at=NOW)
    answer = shelf.judge()
    assert isinstance(answer, Known)
    assert (answer.judgement.state, answer.refresh) == (State.PASS, Need.REQUEST)
    assert answer.subjects == (Subject(REPOSITORY, A, "1"),)


def test_an_error_is_the_answer_only_where_there_is_no_verdict() -> None:
    assert state(Shelf().point(A).erred(A, ErrorKind.ANALYSIS_FAILED).judge()) is State.ERROR
    both = Shelf().point(A).erred(A, ErrorKind.ANALYSIS_FAILED).judged(A)
    assert state(both.judge()) is State.PASS


def test_a_passing_fault_is_still_pending_and_says_what_happened() -> None:
    answer = Shelf().point(A).erred(A, ErrorKind.TRANSIENT).judge()
    assert isinstance(answer, Missing)
    assert (answer.note, answer.resting, answer.unresolved) == ("because", True, False)
    assert isinstance(asked := Shelf().point(A).judge(), Missing)
    assert not asked.resting


def test_what_just_failed_is_not_asked_again_before_its_error_ends() -> None:
    stale = Shelf().point(A).judged(A, age=3_600_000).erred(A, ErrorKind.ANALYSIS_FAILED)
    answer = stale.judge()
    assert isinstance(answer, Known)
    assert (answer.judgement.state, answer.refresh) == (State.PASS, None)
    shelf = Shelf()
    nobody = unresolved(parse_reference("app:1"))
    error = error_verdict(nobody, QUESTION, kind=ErrorKind.TRANSIENT, message="away", now=NOW)
    shelf.records[last_error_key(nobody, QUESTION)] = error
    unknown = shelf.judge()
    assert isinstance(unknown, Missing)
    assert (unknown.note, unknown.resting, unknown.unresolved) == ("away", True, True)


@pytest.mark.parametrize("outcome", [Outcome.PASS, Outcome.FAIL])
def test_a_judgement_by_tag_tells_since_when_the_tag_is_known(outcome: Outcome) -> None:
    shelf = Shelf().point(A).judged(A, outcome)
    key = pointer_key(parse_reference("app:1"))
    pointer = shelf.records[key]
    shelf.records[key] = msgspec.structs.replace(pointer, known_since=NOW - 5)
    by_tag, by_digest = shelf.judge(), shelf.judge(f"app:1@{A}")
    assert isinstance(by_tag, Known)
    assert isinstance(by_digest, Known)
    assert (by_tag.judgement.known_since, by_digest.judgement.known_since) == (NOW - 5, 0)


def test_a_tag_that_nobody_asked_about_yet_is_not_one_that_could_not_be_had() -> None:
    assert isinstance(unknown := Shelf().judge(), Missing)
    assert not unknown.unresolved


@pytest.mark.parametrize("kind", [ErrorKind.ANALYSIS_FAILED, ErrorKind.TRANSIENT])
def test_an_error_that_is_stale_is_as_none_though_its_record_lives_on(kind: ErrorKind) -> None:
    life = FRESH_ERROR[kind]
    stale = Shelf().point(A).judged(A, age=3_600_000).erred(A, kind, age=life)
    answer = stale.judge()
    assert isinstance(answer, Known)
    assert (answer.judgement.state, answer.refresh) == (State.PASS, Need.REQUEST)
    unknown = Shelf().point(A).erred(A, kind, age=life).judge()
    assert isinstance(unknown, Missing)
    assert not unknown.resting


def test_an_answer_that_rests_on_an_error_holds_no_longer_than_the_error() -> None:
    answer = Shelf().point(A).erred(A, ErrorKind.ANALYSIS_FAILED).judge(always=False)
    assert isinstance(answer, Known)
    assert answer.until <= NOW + FRESH_ERROR[ErrorKind.ANALYSIS_FAILED]
    resting = Shelf().point(A).judged(A, age=3_600_000).erred(A, ErrorKind.REFUSED, age=59_000)
    assert isinstance(answer := resting.judge(always=False), Known)
    assert (answer.refresh, answer.until) == (None, NOW + 1_000)


def test_an_index_is_as_good_as_the_worst_manifest_a_runtime_could_choose() -> None:
    index = Shelf().point(A, is_index=True).names(A, amd64(B), amd64(C, variant="v3"))
    assert need(index.judge()) is Need.REQUEST
    assert need(index.judged(B).judge()) is Need.REQUEST
    assert state(index.judged(C, Outcome.FAIL).judge()) is State.FAIL
    assert state(index.judged(C).judge()) is State.PASS


@pytest.mark.parametrize(
    ("entry", "counts"),
    [
        (Manifest(C), True),
        (Manifest(C, "linux", "amd64", "v2"), True),
        (Manifest(C, "linux", "arm64"), False),
        (Manifest(C, "unknown", "unknown"), False),
        (Manifest(C, "windows", "amd64"), False),
    ],
)
def test_an_entry_counts_unless_its_platform_says_that_no_node_would_run_it(
    entry: Manifest, counts: bool
) -> None:
    answer = Shelf().point(A, is_index=True).names(A, amd64(B), entry).judged(B).judge()
    assert isinstance(answer, Missing) is counts


def test_an_index_without_a_manifest_for_this_cluster_fails() -> None:
    index = Shelf().point(A, is_index=True).names(A, Manifest(B, "linux", "arm64"))
    answer = index.judge()
    assert state(answer) is State.FAIL
    assert isinstance(answer, Known)
    assert "no manifest for this cluster" in answer.judgement.message


def test_one_failed_manifest_decides_whatever_is_unknown_of_the_others() -> None:
    index = Shelf().point(A, is_index=True).names(A, amd64(B), amd64(C))
    assert state(index.judged(C, Outcome.FAIL).judge()) is State.FAIL


DIGESTS = st.sampled_from([A, B, C])
TAGS = st.sampled_from(["1", "2", None])
OUTCOMES = st.sampled_from([Outcome.PASS, Outcome.FAIL])
MANIFESTS = st.lists(
    st.builds(
        Manifest,
        digest=st.sampled_from([B, C]),
        os=st.sampled_from(["linux", "windows", ""]),
        architecture=st.sampled_from(["amd64", "arm64", ""]),
    ),
    max_size=3,
)


@given(
    pointer=st.none() | st.tuples(DIGESTS, st.booleans()),
    index=st.none() | MANIFESTS,
    verdicts=st.lists(st.tuples(DIGESTS, OUTCOMES, TAGS), max_size=6),
    errors=st.lists(st.tuples(DIGESTS, st.sampled_from(ErrorKind), TAGS), max_size=3),
    written=st.sampled_from(["app:1", f"app@{A}", f"app:1@{A}", f"app:2@{B}"]),
    always=st.booleans(),
)
def test_no_records_whatsoever_make_a_pass_without_a_pass_for_each_digest_that_may_run(
    *,
    pointer: tuple[str, bool] | None,
    index: list[Manifest] | None,
    verdicts: list[tuple[str, Outcome, str | None]],
    errors: list[tuple[str, ErrorKind, str | None]],
    written: str,
    always: bool,
) -> None:
    shelf = Shelf()
    if pointer is not None:
        shelf.point(pointer[0], is_index=pointer[1])
    if index is not None:
        shelf.names(A, *index)
    for digest, outcome, tag in verdicts:
        shelf.judged(digest, outcome, tag=tag)
    for digest, kind, tag in errors:
        shelf.erred(digest, kind, tag=tag)
    answer = shelf.judge(written, always=always)
    if not isinstance(answer, Known) or answer.judgement.state is not State.PASS:
        return
    reference = parse_reference(written)
    named = reference.digest or (pointer[0] if pointer else "")
    tags = {reference.tag} if reference.digest is None else {reference.tag, None}
    passed = {
        verdict.subject.digest
        for verdict in answer.judgement.verdicts
        if verdict.outcome is Outcome.PASS and verdict.subject.tag in tags
    }
    runs = {named}
    if named not in passed:
        runs = {entry.digest for entry in index or () if entry.counts(("linux/amd64",))}
    assert runs
    assert runs <= passed


def test_a_pinned_index_needs_its_record_and_no_pointer() -> None:
    index = Shelf().names(A, amd64(B)).judged(B, tag=None)
    assert state(index.judge(f"app@{A}")) is State.PASS
    awaited = Shelf().judge(f"app@{A}")
    assert isinstance(awaited, Missing)
    assert index_key(A) in awaited.keys


# Platforms that the cluster's nodes brought.

AMD = PlatformSeen("linux/amd64", NOW, NOW, judged_at=NOW)
NEW_ARM = PlatformSeen("linux/arm64", NOW, NOW)
ARM = PlatformSeen("linux/arm64", NOW, NOW, judged_at=NOW)


def many() -> Shelf:
    """An index whose manifest for linux/arm64 is bad."""
    shelf = Shelf().point(A, is_index=True)
    shelf.names(A, amd64(B), Manifest(C, "linux", "arm64"))
    return shelf.judged(B).judged(C, Outcome.FAIL)


def test_without_a_word_of_nodes_or_rules_linux_on_amd64_counts() -> None:
    assert state(many().judge(always=False)) is State.PASS


def test_platforms_of_nodes_count_where_the_rules_name_none() -> None:
    assert state(many().nodes(AMD, ARM).judge(always=False)) is State.FAIL
    assert state(many().nodes(AMD).judge(always=False)) is State.PASS


def test_a_cluster_of_one_other_platform_has_no_use_for_amd64() -> None:
    shelf = many().judged(B, Outcome.FAIL).judged(C).nodes(ARM)
    assert state(shelf.judge(always=False)) is State.PASS


def test_the_rules_platforms_hold_whatever_nodes_there_are() -> None:
    rules = Rules(platforms=("linux/amd64",))
    assert state(many().nodes(AMD, ARM).judge(always=False, rules=rules)) is State.PASS


def test_a_new_platform_counts_when_the_policy_grace_is_over_and_the_answer_lasts_until_then() -> (
    None
):
    shelf = many().nodes(AMD, NEW_ARM)
    now = shelf.judge(always=False)
    assert state(now) is State.PASS
    assert isinstance(now, Known)
    assert now.until == NOW + MINUTE  # the pointer's youth is over before that
    pinned = shelf.judge(f"app:1@{A}")
    assert isinstance(pinned, Known)
    assert pinned.until == NOW + 60 * MINUTE
    assert state(shelf.judge(always=False, later=60 * MINUTE)) is State.FAIL


def test_a_new_platform_that_counts_has_its_manifest_asked_for() -> None:
    shelf = Shelf().point(A, is_index=True).judged(B).nodes(AMD, ARM)
    shelf.names(A, amd64(B), Manifest(C, "linux", "arm64"))
    answer = shelf.judge(always=False)
    assert isinstance(answer, Missing)
    assert answer.subjects == (Subject(REPOSITORY, C, "1"),)


def test_another_cluster_s_nodes_do_not_count() -> None:
    shelf = many().nodes(AMD, cluster="prod").nodes(AMD, ARM, cluster="lab")
    for cluster, expected in (("prod", State.PASS), ("lab", State.FAIL)):
        terms = PlatformTerms(cluster)
        assert state(shelf.judge(always=False, platforms=terms)) is expected


def test_where_nodes_must_be_known_every_manifest_counts_while_they_are_not() -> None:
    """A record that somebody deleted opens nothing."""
    needed = PlatformTerms(needed=True)
    assert state(many().judge(always=False, platforms=needed)) is State.FAIL
    assert state(many().nodes(AMD).judge(always=False, platforms=needed)) is State.PASS


def test_where_nothing_counts_the_platforms_are_named() -> None:
    shelf = Shelf().point(A, is_index=True).nodes(ARM)
    shelf.names(A, amd64(B))
    answer = shelf.judge(always=False)
    assert isinstance(answer, Known)
    assert answer.judgement.message.endswith("the index has none for linux/arm64")
