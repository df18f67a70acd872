"""What became of a configuration as a rules file, with what is to be said of each rule above it."""

from collections.abc import Iterator

import yaml

from services.cli.rules.controller.outcome import Became, Drafted, Imported, State
from shared.runtime.logging import one_line

WIDTH = 96

_HEAD = """\
# Made of {source} by `imagegate rules import`. Read each remark, then try it:
# `imagegate rules check FILE`, `imagegate rules test FILE OBJECT.yaml`.
apiVersion: imagegate.dev/v1
"""


def rules_text(imported: Imported, *, source: str) -> str:
    """The whole file; `source`: what it was made of."""
    lines = [_HEAD.format(source=one_line(source))]
    selectors = [each for each in imported.became if each.number and not each.is_default]
    ruled = any(each.rules for each in selectors)
    if ruled:
        lines.append("rules:\n")
    for each in selectors:
        lines += [*_remarks(each, indent="  " if ruled else ""), *map(_rule, each.rules)]
    for each in imported.became:
        if each.is_default or not each.number:
            lines += _remarks(each, indent="")
    lines.append(_dumped({"default": dict(imported.default)}))
    return "".join(lines)


def _remarks(each: Became, *, indent: str) -> Iterator[str]:
    name = f"selector {each.number}, " if each.number else ""
    yield f"{indent}# {name}{one_line(each.was, limit=1000)}\n"
    for at, why in enumerate(each.why):
        state = f"{each.state}: " if not at and each.state is not State.KEPT else ""
        yield f"{indent}#   {state}{one_line(why, limit=1000)}\n"


def _rule(rule: Drafted) -> str:
    text = _dumped([{"name": rule.name, "match": dict(rule.match), **rule.terms}])
    return "".join(f"  {line}\n" for line in text.splitlines())


def _dumped(value: object) -> str:
    return yaml.safe_dump(value, sort_keys=False, width=WIDTH)
