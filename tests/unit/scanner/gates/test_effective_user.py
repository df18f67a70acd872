"""Who counts as root, and what a policy's list means."""

import pytest

from services.scanner.gates.effective_user import is_root
from tests.unit.scanner.samples import evaluated, facts, messages, rule

BASELINE = "root,0,root:root,0:0,root:0,0:root"


@pytest.mark.parametrize(
    "user",
    [
        "",
        " ",
        ":",
        ":1000",
        "root",
        "root:root",
        "root:adm",
        "0",
        "00",
        "000000",
        "+0",
        "-0",
        "0:0",
        "0:1000",
        "0:staff",
        " 0 ",
        "-1",
        "2147483648",
        "4294967296",
        "4294967296:1000",
        "99999999999999999999999999",
    ],
)
def test_root_in_any_spelling_is_root(user: str) -> None:
    assert is_root(user)


@pytest.mark.parametrize(
    "user",
    ["app", "1", "65532", "65532:0", "app:root", "0app", "toor", "Root", "007", "2147483647", "١"],
)
def test_everybody_else_is_not(user: str) -> None:
    assert not is_root(user)


@pytest.mark.parametrize(
    ("user", "users", "stopped"),
    [
        ("0:1000", "root", True),
        ("", "0:0", True),
        ("", "app", False),
        ("app", "app,web", True),
        ("app:app", "app", False),
    ],
)
def test_one_spelling_of_root_means_all_of_them_and_others_are_compared_as_they_stand(
    user: str, users: str, stopped: bool
) -> None:
    asked = rule("dockerfile", "effective_user", users=users, type="blacklist")

    assert bool(messages(facts(user=user), asked)) is stopped


def test_a_name_that_the_images_passwd_makes_root_is_root() -> None:
    asked = rule("dockerfile", "effective_user", users=BASELINE, type="blacklist")

    assert messages(facts(user="toor", user_id=0), asked) == [
        "User toor (root) found as effective user, which is explicity not allowed"
    ]
    assert messages(facts(user="app", user_id=1000), asked) == []


@pytest.mark.parametrize("kind", ["blacklist", "whitelist"])
def test_a_name_that_nobody_has_is_not_taken_for_somebody_harmless(kind: str) -> None:
    asked = rule("dockerfile", "effective_user", users="app,root", type=kind)
    image = facts(user="app", user_problem="/etc/passwd of the image has no user 'app'")

    assert messages(image, asked) == [
        "User app found as effective user, of whom nobody can say that it is not root: "
        "/etc/passwd of the image has no user 'app'. No container of it would start"
    ]


def test_whitelisting_the_name_of_such_a_user_does_not_allow_root() -> None:
    by_name = rule("dockerfile", "effective_user", users="toor", type="whitelist")
    as_root = rule("dockerfile", "effective_user", users="toor,0", type="whitelist")

    assert len(messages(facts(user="toor", user_id=0), by_name)) == 1
    assert messages(facts(user="toor", user_id=0), as_root) == []


@pytest.mark.parametrize(
    ("user", "shown"),
    [("", "root"), ("root", "root"), ("0", "0"), ("0:0", "0:0"), ("0:1000", "0:1000 (root)")],
)
def test_a_blacklist_of_root_stops_an_image_that_runs_as_root(user: str, shown: str) -> None:
    found = messages(
        facts(user=user), rule("dockerfile", "effective_user", users=BASELINE, type="blacklist")
    )

    assert found == [f"User {shown} found as effective user, which is explicity not allowed"]


def test_a_blacklist_of_root_lets_others_pass() -> None:
    asked = rule("dockerfile", "effective_user", users=BASELINE, type="blacklist")

    assert evaluated(facts(user="65532:0"), asked).rows == ()


def test_a_whitelist_stops_everybody_it_does_not_name() -> None:
    asked = rule("dockerfile", "effective_user", users="app, web", type="whitelist")

    assert evaluated(facts(user="web"), asked).rows == ()
    assert messages(facts(user="db"), asked) == [
        "User db found as effective user, which is not on the allowed list"
    ]
    assert messages(facts(user=""), asked) == [
        "User root found as effective user, which is not on the allowed list"
    ]


def test_the_user_of_the_dockerfile_does_not_count_but_the_configs() -> None:
    asked = rule("dockerfile", "effective_user", users=BASELINE, type="blacklist")
    image = facts(user="", dockerfile="FROM debian:12\nUSER app\n", dockerfile_mode="Actual")

    assert evaluated(image, asked).final_action == "stop"
