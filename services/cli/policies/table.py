"""Policies, for people."""

from collections.abc import Iterator, Sequence
from typing import Any

from rich.console import Console
from rich.table import Table

from services.cli.policies.desk import Change, PolicyRow
from services.cli.tables import WIDE, plain
from shared.domain.policy import Bundle, Policy, bundle_revision
from shared.domain.policy_forms import Form

SHORT = 12
"""Digits of a revision, as `imagegate explain` shows it."""
MOST_LEFT_OUT = 10


def print_policies(console: Console, rows: Sequence[PolicyRow]) -> None:
    """One line each, and what is wrong where none is active."""
    table = Table(title="Policies", title_justify="left")
    wide = console.width >= WIDE
    for heading in ("id", "active", "revision", "name", *(("changed",) if wide else ())):
        table.add_column(heading, overflow="fold")
    for row in rows:
        table.add_row(
            plain(row.id),
            plain("active" if row.active else "", style="green"),
            row.revision[:SHORT],
            plain(row.name, limit=80),
            *((plain(row.changed, limit=40),) if wide else ()),
        )
    console.print(table)
    if not any(row.active for row in rows):
        console.print(
            "no policy is active: Anchore refuses to judge by the active policy, and images whose "
            "rules name none stay unjudged; `imagegate policies activate ID` makes one active",
            style="red",
        )


def print_policy(console: Console, policy: Policy, form: Form) -> None:
    """What it judges, and which images it judges by what."""
    active = "active" if policy.active else "not active"
    console.print(plain(f"policy {policy.id}: {active}, {form} form"), soft_wrap=True)
    for name, fact in (("name", policy.name), ("revision", bundle_revision(policy.bundle))):
        console.print(plain(f"  {name}: {fact}"), soft_wrap=True)
    table = Table(title="Rules", title_justify="left")
    for heading in ("rule set", "action", "gate / trigger", "parameters"):
        table.add_column(heading, overflow="fold")
    for cells in _rules(policy.bundle):
        table.add_row(*(plain(cell, limit=400) for cell in cells))
    console.print(table)
    for line in _mappings(policy.bundle):
        console.print(plain(f"  {line}", limit=400), soft_wrap=True)
    console.print("`-o json` prints the document, `--form v1` or `--form v2` in one of its forms")


def print_change(console: Console, change: Change) -> None:
    """What is different now, and what follows from it."""
    where = f" in the account {change.account}" if change.account else ""
    done = "pushed" if change.pushed else "activated"
    made = f", made of the {change.given} document" if change.given is not change.form else ""
    console.print(plain(f"{done} {change.id}{where} ({change.form} form{made})"), soft_wrap=True)
    console.print(plain(f"  revision: {_revisions(change)}"))
    console.print(plain(f"  active:   {_active(change)}"), soft_wrap=True)
    for path in change.left_out[:MOST_LEFT_OUT]:
        console.print(plain(f"  left out: {path}", style="yellow"), soft_wrap=True)
    if len(change.left_out) > MOST_LEFT_OUT:
        more = len(change.left_out) - MOST_LEFT_OUT
        console.print(plain(f"  left out: {more} more; -o json has all", style="yellow"))
    console.print(plain(_follows(change), limit=600), soft_wrap=True)


def _revisions(change: Change) -> str:
    before, now = change.revision_before[:SHORT], change.revision[:SHORT]
    if not before:
        return f"{now} (new)"
    return f"{now} (as before)" if before == now else f"{before} -> {now}"


def _active(change: Change) -> str:
    if not change.active:
        other = f"{change.active_before} is" if change.active_before else "and no other is either"
        return f"no, {other}; `imagegate policies activate {change.id}` makes it the active one"
    if change.active_before == change.id:
        return "yes, as before"
    return f"yes, instead of {change.active_before or 'none'}"


def _follows(change: Change) -> str:
    switched = change.active and change.active_before != change.id
    if change.revision == change.revision_before and not switched:
        return "Nothing changed: verdicts stand."
    if not change.active:
        return (
            "Only images whose rules name this policy's id are judged by it. What was judged by "
            "another revision of it is judged anew."
        )
    return (
        "What was judged before is judged anew by itself, most recently used first, as soon as a "
        "worker sees the new revision; until then the old verdicts count, for up to "
        "IMAGEGATE_POLICY_GRACE. `imagegate explain IMAGE` tells by which revision an image was "
        "judged."
    )


def _rules(document: Bundle) -> Iterator[tuple[str, str, str, str]]:
    for rule_set in _objects(document, "rule_sets", "policies"):
        for rule in _objects(rule_set, "rules"):
            given = [
                f"{param.get('name')}={param.get('value')}" for param in _objects(rule, "params")
            ]
            trigger = f"{rule.get('gate')} / {rule.get('trigger')}"
            yield str(rule_set.get("id")), str(rule.get("action")), trigger, ", ".join(given)


def _mappings(document: Bundle) -> Iterator[str]:
    """In their order: the first that matches decides."""
    for mapping in _objects(document, "mappings"):
        image = mapping.get("image")
        value = image.get("value") if isinstance(image, dict) else "?"
        judges = mapping.get("rule_set_ids") or mapping.get("policy_ids")
        names = judges if isinstance(judges, list) else [mapping.get("policy_id")]
        images = f"{mapping.get('registry')}/{mapping.get('repository')}:{value}"
        yield f"images {images}: by {', '.join(map(str, names))}"
    for key in (
        "allowlisted_images",
        "denylisted_images",
        "whitelisted_images",
        "blacklisted_images",
    ):
        count = len(_objects(document, key))
        if count:
            yield f"{key}: {count}"


def _objects(value: Bundle, *keys: str) -> list[dict[str, Any]]:
    """The objects of the first of these lists that is there: Anchore's document, unchecked."""
    for key in keys:
        listed = value.get(key)
        if isinstance(listed, list):
            return [one for one in listed if isinstance(one, dict)]
    return []
