"""Whom a User stands for, as containerd looks it up."""

import pytest

from services.scanner.analysis.users import user_of

PASSWD = b"""root:x:0:0:root:/root:/bin/sh
# a comment
  app:x:1000:1000::/app:/bin/false\t
toor:x:0:0::/:/bin/sh
app:x:0:0:a second line does not count:/:/bin/sh
zero:x:00:0
short
none:x::
word:x:abc:0
wrapped:x:4294967296:0
minus:x:-1:0
root2:x:+0:0
1234:x:0:0:a name of digits is a number:/:
"""


@pytest.mark.parametrize(
    ("user", "number"),
    [
        ("", 0),
        (":1000", 0),
        ("root", 0),
        ("app", 1000),
        ("app:root", 1000),
        (" app ", 1000),
        ("toor", 0),
        ("zero", 0),
        ("short", 0),
        ("none", 0),
        ("word", 0),
        ("wrapped", 0),
        ("minus", 0),
        ("root2", 0),
        ("1234", 1234),
        ("65532:0", 65532),
        ("007", 7),
        ("+5", 5),
        ("-5", 0),
        ("2147483647", 2**31 - 1),
        ("2147483648", 0),
        ("9" * 5000, 0),
    ],
)
def test_a_user_is_a_number(user: str, number: int) -> None:
    assert user_of(user, PASSWD, "") == (number, "")


@pytest.mark.parametrize("user", ["ap", "App", "root ", "nobody", "app\n", "ap\0p"])
def test_a_name_that_is_not_there_is_nobody(user: str) -> None:
    number, problem = user_of(user, PASSWD.replace(b"root:", b"r:"), "")

    if user.strip() == "app":
        assert (number, problem) == (1000, "")
    else:
        assert number is None
        assert problem.startswith("/etc/passwd of the image has no user")


def test_without_a_passwd_numbers_are_users_and_names_are_not() -> None:
    assert user_of("1000", None, "") == (1000, "")
    assert user_of("root", None, "") == (
        None,
        "the image has no /etc/passwd to look up the user 'root' in",
    )
    assert user_of("root", None, "/etc/passwd is over 7 bytes") == (
        None,
        "/etc/passwd is over 7 bytes",
    )


def test_a_line_that_gos_scanner_does_not_take_makes_everybody_nobody() -> None:
    number, problem = user_of("app", PASSWD + b"x" * 70_000, "")

    assert (number, "over 65536 bytes" in problem) == (None, True)
