"""Which rules and exceptions hold for an image of an object: the first that matches decides."""

import tracemalloc

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.domain.exceptions import ImageException
from shared.domain.glob import Glob
from shared.domain.image_pattern import ImagePattern
from shared.domain.reference import parse_reference
from shared.domain.rules import Match, Mode, Rule, Rules
from shared.domain.scope import MAX_CHOICES, MAX_EXTRACTS, MAX_SCOPES, Labels, Occasion, RuleBook

IMAGE = parse_reference("registry.corp/team/app:1")
MATCH_ALL = Match()
PROD: Labels = {"tier": "prod"}
LABELLED = Match(namespace_labels=(("tier", "prod"),))
PCI = Match(labels=(("pci", "true"),))


def rule(name: str, match: Match = MATCH_ALL, mode: Mode = Mode.ENFORCE) -> Rule:
    return Rule(name=name, mode=mode, match=match)


def book(*rules: Rule, exceptions: tuple[ImageException, ...] = ()) -> RuleBook:
    return RuleBook(Rules(rules=rules), exceptions)


def ruling(book: RuleBook, image: str = "registry.corp/team/app:1", **of: object) -> list[str]:
    """The names of the rules for an image, the one that decides first."""
    occasion = msgspec.structs.replace(Occasion("team", "ada"), **of)
    found = book.scope(occasion).ruling(parse_reference(image))
    names = [rule.name for rule in found.rules]
    return names if found.decides else ["?", *names]


def test_without_rules_the_default_decides() -> None:
    assert ruling(book()) == ["default"]


def test_the_first_rule_that_matches_decides_image_by_image() -> None:
    rules = book(
        rule("payments", Match(namespaces=(Glob("payments-*"),))),
        rule("ours", Match(images=(ImagePattern("registry.corp/**"),))),
        rule("ci", Match(users=(Glob("system:serviceaccount:ci:*"),))),
        rule("all of team", Match(namespaces=(Glob("team"), Glob("other")))),
    )
    assert ruling(rules) == ["ours"]
    assert ruling(rules, namespace="payments-eu") == ["payments"]
    assert ruling(rules, "nginx") == ["all of team"]
    assert ruling(rules, "nginx", namespace="elsewhere") == ["default"]
    builder = "system:serviceaccount:ci:builder"
    assert ruling(rules, "nginx", namespace="elsewhere", user=builder) == ["ci"]


def test_what_an_author_writes_adds_a_rule_and_chooses_none() -> None:
    rules = book(rule("pci", PCI), rule("jobs", Match(kinds=("Job", "CronJob"))), rule("all"))
    assert ruling(rules) == ["all"]
    assert ruling(rules, labels={"pci": "true"}) == ["all", "pci"]
    assert ruling(rules, labels={"pci": "true"}, kind="Job") == ["all", "pci", "jobs"]
    assert ruling(rules, annotations={"pci": "true"}) == ["all"]


def test_a_rule_that_adds_is_about_its_images_and_namespaces_only() -> None:
    narrow = msgspec.structs.replace(PCI, images=(ImagePattern("registry.corp/**"),))
    rules = book(rule("pci", narrow), rule("there", Match(namespaces=(Glob("x"),), kinds=("Pod",))))
    assert ruling(rules, labels={"pci": "true"}, kind="Pod") == ["default", "pci"]
    assert ruling(rules, "nginx", labels={"pci": "true"}) == ["default"]
    assert ruling(rules, namespace="x", kind="Pod") == ["default", "there"]


def test_labels_of_the_namespace_choose_where_they_are_known() -> None:
    rules = book(rule("prod", LABELLED))
    assert ruling(rules, namespace_labels=PROD) == ["prod"]
    assert ruling(rules, namespace_labels={"tier": "test"}) == ["default"]
    assert ruling(rules, namespace_labels={}) == ["default"]


def test_labels_that_are_not_known_decide_nothing_and_keep_no_demand_away() -> None:
    adds = msgspec.structs.replace(PCI, namespace_labels=LABELLED.namespace_labels)
    rules = book(rule("prod", LABELLED), rule("pci", adds), rule("rest"))
    assert ruling(rules, labels={"pci": "true"}) == ["?", "pci"]
    assert ruling(rules, labels={"pci": "true"}, namespace_labels={}) == ["rest"]


def test_labels_that_are_not_known_do_not_matter_behind_a_rule_that_is_certain() -> None:
    ours = rule("ours", Match(images=(ImagePattern("registry.corp/**"),)))
    rules = book(ours, rule("prod", LABELLED))
    assert ruling(rules) == ["ours"]
    assert ruling(rules, "nginx") == ["?"]
    narrow = msgspec.structs.replace(LABELLED, images=(ImagePattern("quay.io/**"),))
    assert ruling(book(rule("prod", narrow))) == ["default"]


MATCHES = st.builds(
    Match,
    namespace_labels=st.sampled_from([(), (("tier", "prod"),), (("zone", "b"),)]),
    images=st.sampled_from(
        [(), (ImagePattern("registry.corp/**"),), (ImagePattern("quay.io/**"),)]
    ),
    labels=st.sampled_from([(), (("pci", "true"),)]),
)


@given(
    st.lists(st.tuples(MATCHES, st.sampled_from(Mode)), max_size=6),
    st.dictionaries(st.sampled_from(["tier", "zone"]), st.sampled_from(["prod", "b"])),
    st.booleans(),
)
def test_whatever_the_labels_are_what_holds_without_them_is_nothing_laxer(
    written: list[tuple[Match, Mode]], labels: dict[str, str], pci: bool
) -> None:
    rules = book(*(rule(f"r{at}", match, mode) for at, (match, mode) in enumerate(written)))
    unknown = Occasion("team", "ada", labels={"pci": "true"} if pci else {})
    known = msgspec.structs.replace(unknown, namespace_labels=labels)
    without, with_labels = (rules.scope(one).ruling(IMAGE) for one in (unknown, known))
    assert without.decides in (None, with_labels.decides)
    assert set(with_labels.adds) <= set(without.adds)
    if without.decides is None:
        assert with_labels.decides in without.may_decide


@pytest.mark.parametrize(
    ("modes", "strictest"),
    [
        ([Mode.WARN], "default"),
        ([Mode.ALLOW, Mode.AUDIT], "default"),
        ([Mode.DENY, Mode.AUDIT], "deny"),
    ],
)
def test_an_image_of_which_it_is_not_known_which_rule_decides_is_refused_by_the_strictest(
    modes: list[Mode], strictest: str
) -> None:
    rules = book(*(rule(mode.value, LABELLED, mode) for mode in modes))
    assert rules.scope(Occasion("team", "ada")).ruling(IMAGE).strictest.name == strictest


def test_where_all_rules_that_may_decide_only_warn_the_strictest_does() -> None:
    rules = book(rule("warn", LABELLED, Mode.WARN), rule("rest", mode=Mode.AUDIT))
    found = rules.scope(Occasion("team", "ada")).ruling(IMAGE)
    assert (found.decides, found.strictest.name) == (None, "warn")


def test_a_rule_that_adds_is_stricter_than_one_that_only_warns() -> None:
    rules = book(rule("pci", PCI), rule("warn", mode=Mode.WARN))
    found = rules.scope(Occasion("team", "ada", labels={"pci": "true"})).ruling(IMAGE)
    assert (found.decides, found.strictest) == (rule("warn", mode=Mode.WARN), rule("pci", PCI))


def test_objects_for_which_the_same_holds_share_a_scope_and_others_do_not() -> None:
    rules = book(rule("payments", Match(namespaces=(Glob("payments-*"),))), rule("pci", PCI))
    team = rules.scope(Occasion("team", "ada"))
    assert rules.scope(Occasion("other", "bob")) is team
    assert rules.scope(Occasion("team", "ada", labels={"app": "x"})) is team
    assert rules.scope(Occasion("payments-eu", "ada")) is not team
    assert rules.scope(Occasion("team", "ada", labels={"pci": "true"})) is not team


def test_an_exception_holds_in_its_namespaces_only() -> None:
    exception = ImageException("a.b/c", ("CVE-1",), ("team-*",), "why", "ada", 2**40)
    rules = book(exceptions=(exception,))
    assert rules.scope(Occasion("team-a", "ada")).exceptions == (exception,)
    assert rules.scope(Occasion("other", "ada")).exceptions == ()


def test_an_extract_tells_what_of_an_object_has_to_be_known() -> None:
    there = Match(namespaces=(Glob("here"),), labels=PCI.labels, namespace_labels=(("a", "b"),))
    rules = book(rule("pci", there), rule("rest", Match(users=(Glob("ada"),))))
    here, elsewhere = rules.extract("here", "ada"), rules.extract("elsewhere", "ada")
    assert (here.scope, here.needs_author, here.needs_namespace_labels) == (None, True, True)
    assert elsewhere.scope is rules.scope(Occasion("elsewhere", "ada"))
    assert elsewhere.scope is not rules.extract("elsewhere", "bob").scope


def test_extracts_and_scopes_are_forgotten_and_found_again() -> None:
    wide = Match(labels=tuple((str(number), "x") for number in range(1)))
    rules = book(
        rule("wide", wide), *(rule(f"r{n}", Match(labels=((f"l{n}", "x"),))) for n in "ab")
    )
    for number in range(max(MAX_EXTRACTS, MAX_SCOPES) + 10):
        rules.extract(f"team-{number}", "ada")
    for number in range(4 * MAX_CHOICES):
        labels = {"la": "x"} if number % 2 else {"lb": "x", "n": str(number)}
        assert ruling(rules, labels=labels) == ["default", "ra" if number % 2 else "rb"]


def test_scopes_that_authors_make_up_cost_little_however_many_rules_there_are() -> None:
    flags = 11
    adding = [rule(f"add{n}", Match(labels=((f"l{n}", "x"),))) for n in range(flags)]
    rules = book(
        *adding, *(rule(f"r{n}", Match(images=(ImagePattern(f"r{n}.io/**"),))) for n in range(500))
    )
    rules.scope(Occasion("team", "ada"))
    tracemalloc.start()
    kept = [
        rules.scope(
            Occasion("team", "ada", labels={f"l{n}": "x" for n in range(flags) if number >> n & 1})
        )
        for number in range(2**flags)
    ]
    held, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len({id(scope) for scope in kept}) == 2**flags
    assert held < 12 * 2**20
