"""What an image says of itself, compared."""

import pytest

from tests.unit.scanner.samples import evaluated, facts, messages, rule

IMAGE = facts(
    size=2 * 1024**2, layers=3, os_type="linux", distro_like=("rhel", "fedora"), distro_version="9"
)


def fires(attribute: str, check: str, value: str | None = None) -> bool:
    params = {} if value is None else {"value": value}
    asked = rule("metadata", "attribute", attribute=attribute, check=check, **params)
    outcome = evaluated(IMAGE, asked)
    assert outcome.problems == ()
    return bool(outcome.rows)


@pytest.mark.parametrize(
    ("attribute", "value"),
    [
        ("architecture", "amd64"),
        ("os_type", "linux"),
        ("distro", "debian"),
        ("distro_version", "9"),
        ("like_distro", "rhel,fedora"),
        ("size", "2mb"),
        ("layer_count", "3"),
    ],
)
def test_every_attribute_can_be_asked_for(attribute: str, value: str) -> None:
    assert fires(attribute, "=", value)
    assert not fires(attribute, "!=", value)
    assert fires(attribute, "exists")
    assert not fires(attribute, "not_exists")


@pytest.mark.parametrize(
    ("value", "size"),
    [("2097152", 2097152), ("2048kb", 2097152), ("1mb", 1048576), ("1gb", 2**30), ("1tb", 2**40)],
)
def test_sizes_have_units_of_1024(value: str, size: int) -> None:
    assert fires("size", "=", value) is (size == 2097152)
    assert fires("size", "!=", value) is (size != 2097152)
    assert fires("size", ">", value) is (size < 2097152)
    assert fires("size", "<", value) is (size > 2097152)
    assert fires("size", ">=", value) is (size <= 2097152)
    assert fires("size", "<=", value) is (size >= 2097152)


@pytest.mark.parametrize(
    ("check", "value", "expected"),
    [
        ("like", "deb", True),
        ("like", "eb", False),
        ("like", "debian$", True),
        ("not_like", "ubu", True),
        ("not_like", "deb", False),
        ("in", "ubuntu, debian", True),
        ("in", "ubuntu", False),
        ("not_in", "ubuntu", True),
        ("not_in", "ubuntu,debian", False),
        (">", "alpine", True),
        ("<", "alpine", False),
    ],
)
def test_texts_are_compared_as_texts(check: str, value: str, expected: bool) -> None:
    assert fires("distro", check, value) is expected


@pytest.mark.parametrize(
    ("check", "value", "expected"),
    [("<", "12", True), (">", "12", False), ("<", "8.10", False), (">=", "8.10", True)],
)
def test_versions_of_distributions_are_compared_by_their_numbers(
    check: str, value: str, expected: bool
) -> None:
    assert fires("distro_version", check, value) is expected


def test_it_is_told_as_engine_tells_it() -> None:
    larger = rule("metadata", "attribute", attribute="size", check=">", value="1mb")
    there = rule("metadata", "attribute", attribute="distro", check="exists")

    assert messages(IMAGE, larger, there) == [
        "Attribute check for attribute: 'size' check: '>' check_value: '1048576' "
        "matched image value: '2097152'",
        "Attribute check for attribute: 'distro' check: 'exists' check_value: '' "
        "matched image value: 'debian'",
    ]


def test_a_distribution_that_is_like_no_other_is_like_itself() -> None:
    asked = rule("metadata", "attribute", attribute="like_distro", check="=", value="debian")

    assert len(messages(facts(), asked)) == 1


@pytest.mark.parametrize("check", ["=", "!=", "<", "like", "not_like", "in", "not_in"])
def test_what_an_image_does_not_say_cannot_be_compared(check: str) -> None:
    asked = rule("metadata", "attribute", attribute="os_type", check=check, value="linux")

    outcome = evaluated(facts(os_type=""), asked)
    assert outcome.status == "fail"
    assert "does not say what its os_type is" in outcome.problems[0].details
    absent = rule("metadata", "attribute", attribute="os_type", check="not_exists")
    assert len(messages(facts(os_type=""), absent)) == 1
