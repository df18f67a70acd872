"""What became of each selector of a configuration: which rules, and what is to be said of it."""

from collections.abc import Mapping
from enum import StrEnum

import msgspec

from services.cli.rules.controller.choosing import Words
from services.cli.rules.controller.files import Selector
from services.cli.rules.controller.targets import Terms


class State(StrEnum):
    """What became of a selector's meaning."""

    KEPT = "kept"
    STRICTER = "stricter"
    """Something is refused that the controller let in."""
    CHECK = "check"
    """The same, but for what somebody has to look at."""


class Drafted(msgspec.Struct, frozen=True):
    """A rule as it will be written."""

    name: str
    match: Words
    terms: Terms

    @property
    def adds(self) -> bool:
        """Whether it rests on what an author writes."""
        return bool({"labels", "annotations", "kinds"} & set(self.match))


class Became(msgspec.Struct, frozen=True):
    """A selector, and what is left of it."""

    number: int
    """0: what no selector matches."""
    was: str
    state: State
    rules: tuple[Drafted, ...] = ()
    why: tuple[str, ...] = ()
    is_default: bool = False
    """It matches everything: `default` says it."""


class Imported(msgspec.Struct, frozen=True):
    """What became of a configuration."""

    became: tuple[Became, ...]
    """In the order of the selectors."""
    default: Terms
    accounts: Mapping[str, str]
    """Of each user whom selectors name: Anchore's account, empty for that of the login."""

    @property
    def kept(self) -> bool:
        """Whether nothing means anything else."""
        return all(each.state is State.KEPT for each in self.became)


def told(selector: Selector) -> str:
    """`namespace name ~ ^prod$: policy`, as a person reads it."""
    key = f" {selector.key}" if selector.kind != "image" else ""
    who = " of ".join(each for each in (selector.bundle, selector.user) if each)
    mode = f"{selector.mode or '(no mode)'}{f' {who}' if who else ''}"
    return f"{selector.kind or '(no type)'}{key} ~ {selector.value}: {mode}"
