"""Label selectors, as the API server reads them."""

import pytest

from shared.domain.label_selector import LabelSelector, Requirement

PROD = {"tier": "prod"}


@pytest.mark.parametrize(
    ("requirement", "selected"),
    [
        (Requirement("tier", "In", ("prod", "lab")), True),
        (Requirement("tier", "In", ("lab",)), False),
        (Requirement("other", "In", ("prod",)), False),
        (Requirement("tier", "In"), False),
        (Requirement("tier", "NotIn"), True),
        (Requirement("tier", "NotIn", ("lab",)), True),
        (Requirement("tier", "NotIn", ("prod",)), False),
        (Requirement("other", "NotIn", ("prod",)), True),
        (Requirement("tier", "Exists"), True),
        (Requirement("other", "Exists"), False),
        (Requirement("tier", "DoesNotExist"), False),
        (Requirement("other", "DoesNotExist"), True),
    ],
)
def test_an_expression_holds_as_kubernetes_says(
    requirement: Requirement, *, selected: bool
) -> None:
    assert LabelSelector(match_expressions=(requirement,)).selects(PROD) is selected


def test_nothing_at_all_selects_everything() -> None:
    assert LabelSelector().selects({})


def test_all_of_it_must_hold() -> None:
    lab = Requirement("tier", "In", ("lab",))
    assert LabelSelector(match_labels=PROD).selects({**PROD, "more": "x"})
    assert not LabelSelector(match_labels=PROD).selects({"tier": "lab"})
    assert not LabelSelector(match_labels=PROD, match_expressions=(lab,)).selects(PROD)


def test_an_operator_that_nobody_knows_hides_nothing() -> None:
    assert LabelSelector(match_expressions=(Requirement("tier", "Like", ("x",)),)).selects(PROD)


def test_of_what_it_says_one_label_alone_can_be_asked() -> None:
    lab = Requirement("other", "In", ("lab",))
    both = LabelSelector(match_labels={**PROD, "more": "x"}, match_expressions=(lab,))
    assert both.about("tier").selects(PROD)
    assert not both.about("tier").selects({"tier": "lab"})
    assert not both.about("other").selects(PROD)
    assert both.about("nobody").selects({})
