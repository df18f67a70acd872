from shared.domain.latest import Latest


def test_the_last_that_were_set_are_kept_and_the_first_goes() -> None:
    latest = Latest[str, int](2)
    for number, name in enumerate("abc"):
        latest[name] = number
    assert list(latest.items()) == [("b", 1), ("c", 2)]


def test_what_is_set_again_is_as_one_that_came_last() -> None:
    latest = Latest[str, int](2)
    latest["a"] = latest["b"] = 1
    latest["a"] = 2
    latest["c"] = 3
    assert list(latest.items()) == [("a", 2), ("c", 3)]


def test_looking_keeps_nothing() -> None:
    latest = Latest[str, int](2)
    latest["a"] = latest["b"] = 1
    assert latest["a"] == latest.get("a") == latest.setdefault("a", 5) == 1
    latest["c"] = 1
    assert list(latest) == ["b", "c"]


def test_a_default_that_was_not_there_counts_as_set() -> None:
    latest = Latest[str, int](1)
    latest["a"] = 1
    assert latest.setdefault("b", 2) == 2
    assert list(latest.items()) == [("b", 2)]


def test_what_was_taken_out_makes_room() -> None:
    latest = Latest[str, int](2)
    latest["a"] = latest["b"] = 1
    assert latest.pop("a") == 1
    latest["c"] = 1
    assert list(latest) == ["b", "c"]
