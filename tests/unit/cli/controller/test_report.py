"""What an import says for a person, beside the rules."""

import io

import pytest
from rich.console import Console

from services.cli.rules.controller.files import Controller, Selector
from services.cli.rules.controller.importing import import_controller
from services.cli.rules.controller.report import NO_ADDRESS, print_report


def selector(number: int, value: str, mode: str = "policy", user: str = "shop") -> Selector:
    return Selector(number=number, kind="image", key="", value=value, mode=mode, user=user)


EVERY = selector(1, ".*")
SEVERAL = (selector(1, r"^quay\.io/", user="cache"), selector(2, ".*"))
NONE_GIVEN = "no credentials.json was given"


def report(
    *selectors: Selector,
    endpoint: str = "",
    users: frozenset[str] | None = None,
    wrong_key: bool = False,
    **accounts: str,
) -> str:
    """On one line."""
    controller = Controller(selectors, endpoint=endpoint, users=users, wrong_key=wrong_key)
    printed = io.StringIO()
    print_report(
        Console(file=printed, width=300),
        import_controller(controller, accounts=accounts),
        controller,
    )
    return " ".join(printed.getvalue().split())


@pytest.mark.parametrize(
    ("endpoint", "address"),
    [
        ("http://anchore:8228", "http://anchore:8228"),
        ("https://anchore.corp/v1", "https://anchore.corp"),
        ("https://admin:hunter2@anchore.corp:8228/v1?x", "https://anchore.corp:8228"),
        ("http://[::1]:8228", "http://[::1]:8228"),
    ],
)
def test_the_address_of_anchore_is_told_without_what_stands_beside_the_host(
    endpoint: str, address: str
) -> None:
    said = report(EVERY, endpoint=endpoint)
    assert f"Anchore: ANCHORE_URL={address} " in said
    assert "hunter2" not in said


@pytest.mark.parametrize(
    "endpoint",
    ["anchore:8228", "http://anchore:82280", "http://[::1", "http://", "ftp://anchore", "hunter2"],
)
def test_what_is_no_address_is_told_and_not_shown(endpoint: str) -> None:
    said = report(EVERY, endpoint=endpoint)
    assert f"Anchore: {NO_ADDRESS}" in said
    assert "ANCHORE_URL=" not in said
    assert "hunter2" not in said


def test_where_no_address_is_named_none_is_told() -> None:
    assert "Anchore: " not in report(EVERY)


def test_one_user_is_the_login_and_several_are_accounts() -> None:
    one = report(EVERY, users=frozenset({"shop"}))
    assert "ANCHORE_USER=shop" in one
    assert "admin of Anchore" not in one
    several = report(*SEVERAL, users=frozenset({"shop", "cache"}), cache="platform")
    assert "taken to be called as theirs: cache -> platform, shop -> shop." in several
    assert "ANCHORE_USER=" not in several
    assert NONE_GIVEN not in one + several


@pytest.mark.parametrize("selectors", [(EVERY,), SEVERAL])
def test_that_no_credentials_were_given_is_told_where_somebody_is_asked(
    selectors: tuple[Selector, ...],
) -> None:
    assert NONE_GIVEN in report(*selectors)


def test_who_asks_nobody_needs_no_credentials() -> None:
    said = report(selector(1, ".*", mode="sleep"))
    assert NONE_GIVEN not in said
    assert "login:" not in said


@pytest.mark.parametrize("wrong", [True, False])
def test_selectors_where_the_controller_does_not_look_are_told_of(wrong: bool) -> None:
    said = report(EVERY, wrong_key=wrong)
    assert ("it let everything in" in said) is wrong


def test_each_selector_has_a_line_with_its_meaning_and_the_last_counts_them() -> None:
    said = report(
        selector(1, r"^quay\.io/"), selector(2, "nginx", mode="breakglass"), selector(3, ".*")
    )
    assert r"1 │ image ~ ^quay\.io/ │ kept │ selector 1 (enforce)" in said
    assert "2 │ image ~ nginx │ stricter │ selector 2 (allow)" in said
    assert "3 │ image ~ .* │ kept │ default, mode enforce" in said
    assert said.endswith("2 kept, 1 stricter, 0 check")


def test_a_selector_without_a_rule_and_one_that_adds_are_told_so() -> None:
    labelled = Selector(
        number=1, kind="resource", key="^pci$", value="^x$", mode="policy", user="a"
    )
    said = report(labelled, selector(2, "^$"), selector(3, ".*"))
    assert "selector 1, labels (adds); selector 1, annotations (adds)" in said
    assert "2 │ image ~ ^$ │ kept │ no rule" in said


def test_what_no_selector_matches_has_a_line_without_a_number() -> None:
    said = report(selector(1, r"^quay\.io/"))
    assert "│ │ no selector matches │ stricter │ default, mode enforce" in said


def test_markup_in_a_selector_is_shown_as_it_is() -> None:
    assert "[red]x" in report(selector(1, "[red]x"), EVERY)


@pytest.mark.parametrize("said", ["init containers", "pinned to the digest", "failurePolicy"])
def test_what_is_so_of_every_import_is_told(said: str) -> None:
    assert said in report(EVERY)
