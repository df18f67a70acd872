"""The configuration of Anchore's own admission controller, as rules of ours.

The first selector that matches an image decides, there as here. What it asks for is kept; where a
rule cannot say just what a selector matches, one that lets in is about less, and one that asks is
about more: beyond what is sure it adds, so that what follows is asked as well. What is admitted
here is therefore never what the controller would have refused, but for what is said as a doubt.
"""

from collections.abc import Mapping, Sequence

import msgspec

from services.cli.rules.controller.choosing import Chosen, Words, chosen_by
from services.cli.rules.controller.files import Controller, Selector
from services.cli.rules.controller.outcome import Became, Drafted, Imported, State, told
from services.cli.rules.controller.targets import Ask, Target, Terms, targets_of
from shared.domain.glob import Glob
from shared.domain.image_pattern import ImagePattern
from shared.domain.pod_template import WORKLOADS
from shared.domain.rules import Match

KINDS = ["Pod", *(kind for _, _, kind in WORKLOADS)]
"""All that is judged: a rule about these adds, wherever it stands."""

PERHAPS = "perhaps"
"""How the rule of a selector is called that is about more than the selector surely was."""

AUTHOR_LETS_IN = (
    "whoever writes a pod would let it in: `imagegate allow` lets an image in for a time"
)
ADDS = "what an author writes never chooses: this adds, and what follows is asked as well"
UNMATCHED = "what no selector matches was let in"


class _Draft(msgspec.Struct):
    selector: Selector
    target: Target
    chosen: Chosen
    rules: list[Drafted] = msgspec.field(default_factory=list)
    states: set[State] = msgspec.field(default_factory=set)
    why: list[str] = msgspec.field(default_factory=list)

    def add(self, match: Words, terms: Terms, what: str = "") -> None:
        """One more rule; `what`: which of the selector's it is."""
        name = f"selector {self.selector.number}{f', {what}' if what else ''}"
        same = sum(rule.name.startswith(name) for rule in self.rules)
        self.rules.append(Drafted(f"{name}{f' {same + 1}' if same else ''}", match, terms))

    def says(self, state: State, *why: str) -> None:
        self.states.add(state)
        self.why += [each for each in why if each not in self.why]


def import_controller(controller: Controller, *, accounts: Mapping[str, str]) -> Imported:
    """`accounts`: Anchore's account of a user, where it is not called as the user is."""
    targets = targets_of(controller, accounts=accounts)
    drafts = [
        _Draft(selector, target, chosen_by(selector))
        for selector, target in zip(controller.selectors, targets.each, strict=True)
    ]
    whole = next((at for at, each in enumerate(drafts) if each.chosen.everything), None)
    reached = drafts if whole is None else drafts[:whole]
    asks = [draft.target for draft in drafts[: len(reached) + 1]]
    if whole is None:
        asks.append(Target(Ask.ANYTHING))
    for at, draft in enumerate(reached):
        _draft(draft, targets.terms(draft.target), following=asks[at + 1 :])
    _drop_hidden(reached)
    _tell_of_additions(drafts[: len(reached) + 1])
    became = [_became(each) for each in reached]
    became += _unreached(drafts, whole)
    if whole is None:
        default: Terms = {"mode": "enforce"}
        became.append(Became(0, "no selector matches", State.STRICTER, why=(UNMATCHED,)))
    else:
        default = targets.terms(drafts[whole].target)
    return Imported(tuple(became), default, targets.accounts)


def _draft(draft: _Draft, terms: Terms, *, following: Sequence[Target]) -> None:
    """Its rules, and what is to be said of them."""
    chosen, target = draft.chosen, draft.target
    if chosen.nothing:
        draft.why.append("nothing can match it: no rule")
        return
    draft.why += [*target.notes, *chosen.notes]
    if target.let_in_before:
        draft.says(State.STRICTER)
    for match in chosen.surely:
        draft.add(match, terms)
    if target.ask is Ask.NOTHING:
        if chosen.by_author:
            draft.says(State.STRICTER, f"left out: {AUTHOR_LETS_IN}")
        elif chosen.perhaps:
            rest = "only what it surely matches is let in" if draft.rules else "left out"
            draft.says(State.STRICTER, f"{chosen.why_perhaps}: {rest}")
        elif chosen.doubts:
            draft.says(State.CHECK, *chosen.doubts)
        return
    for match in chosen.by_author:
        draft.add(match, terms, next(iter(match)))
        draft.says(State.STRICTER, ADDS)
    _beyond(draft, terms, following)
    if chosen.doubts:
        draft.says(State.CHECK, *chosen.doubts)


def _beyond(draft: _Draft, terms: Terms, following: Sequence[Target]) -> None:
    """What it may be about, and is not surely, is asked for what follows, and for this."""
    why = draft.chosen.why_perhaps
    if not draft.chosen.perhaps:
        return
    if all(target.implies(draft.target) for target in following):
        draft.says(State.STRICTER, f"{why}: beyond that what follows asks for as much")
        return
    for match in draft.chosen.perhaps:
        draft.add({**match, "kinds": KINDS}, terms, PERHAPS)
    draft.says(
        State.STRICTER,
        f"{why}: the rule `{PERHAPS}` adds it to all that it could be; delete that rule, or narrow "
        "it, once you know better",
    )


def _drop_hidden(drafts: Sequence[_Draft]) -> None:
    """A rule that is about nothing that one above is not about is never reached, and what adds
    what one above adds says nothing."""
    above: list[Match] = []
    adding: list[tuple[Words, Terms]] = []
    for draft in drafts:
        for rule in list(draft.rules):
            if rule.adds:
                if (rule.match, rule.terms) in adding:
                    draft.rules.remove(rule)
                    draft.why.append("what it would add is added above")
                adding.append((rule.match, rule.terms))
                continue
            match = _match(rule.match)
            if any(other.contains(match) for other in above):
                draft.rules.remove(rule)
                draft.why.append("never reached: rules above are about all of it")
            else:
                above.append(match)


def _match(words: Words) -> Match:
    def listed(key: str) -> list[str]:
        value = words.get(key)
        return [str(each) for each in value] if isinstance(value, list) else []

    labels = words.get("namespaceLabels")
    return Match(
        namespaces=tuple(map(Glob, listed("namespaces"))),
        images=tuple(map(ImagePattern, listed("images"))),
        namespace_labels=tuple(sorted(labels.items())) if isinstance(labels, dict) else (),
    )


def _tell_of_additions(drafts: Sequence[_Draft]) -> None:
    """What adds is asked of the images of all others, too."""
    adding = [draft for draft in drafts if any(rule.adds for rule in draft.rules)]
    for draft in drafts:
        more = [
            str(each.selector.number)
            for each in adding
            if each is not draft and not draft.target.implies(each.target)
        ]
        if more and (draft.rules or draft.chosen.everything):
            draft.says(State.STRICTER, f"what selector {' and '.join(more)} adds is asked here too")


def _unreached(drafts: Sequence[_Draft], whole: int | None) -> list[Became]:
    if whole is None:
        return []
    decides = drafts[whole]
    number = decides.selector.number
    if decides.target.let_in_before:
        decides.says(State.STRICTER)
    decides.why += [*decides.target.notes, "it matches everything: `default`"]
    never = f"never reached: selector {number} matches everything"
    return [
        _became(decides, is_default=True),
        *(
            Became(each.selector.number, told(each.selector), State.KEPT, why=(never,))
            for each in drafts[whole + 1 :]
        ),
    ]


def _became(draft: _Draft, *, is_default: bool = False) -> Became:
    states = draft.states
    state = next((each for each in (State.CHECK, State.STRICTER) if each in states), State.KEPT)
    return Became(
        number=draft.selector.number,
        was=told(draft.selector),
        state=state,
        rules=tuple(draft.rules),
        why=tuple(dict.fromkeys(draft.why)),
        is_default=is_default,
    )
