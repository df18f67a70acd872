"""What is said of two webhooks, and the exit code that goes with it."""

import io
import json

import pytest
from rich.console import Console

from services.cli.beside.comparing import Compared, Ours, Stand
from services.cli.beside.second import Theirs
from services.cli.beside.table import MADE_UP, print_compared
from services.cli.command import Exit
from services.cli.tables import Output

DIGEST = "sha256:" + "0123456789ab" + "c" * 52


def compared(
    stand: Stand,
    name: str = "Pod shop/web",
    *,
    images: tuple[str, ...] = ("nginx",),
    state: str = "pass",
    reason: str = "",
    theirs: Theirs | None = None,
    cut: bool = False,
) -> Compared:
    return Compared(Ours(name, images, state, reason, cut), theirs or Theirs(True), stand)


def printed(
    *compared: Compared, output: Output = Output.TABLE, made_up: bool = False
) -> tuple[str, Exit]:
    """On one line, and the exit code."""
    written = io.StringIO()
    code = print_compared(
        Console(file=written, width=200), compared, output=output, made_up=made_up
    )
    return " ".join(written.getvalue().split()), code


SAME, UNKNOWN = compared(Stand.SAME), compared(Stand.UNKNOWN, theirs=Theirs(None, "HTTP 500"))


@pytest.mark.parametrize("output", Output)
@pytest.mark.parametrize(
    ("stands", "code"),
    [
        ([], Exit.GOOD),
        ([Stand.SAME, Stand.SAME], Exit.GOOD),
        ([Stand.SAME, Stand.STRICTER], Exit.BAD),
        ([Stand.SAME, Stand.LAXER], Exit.BAD),
        ([Stand.NOT_YET], Exit.BAD),
        ([Stand.SAME, Stand.UNKNOWN], Exit.BAD),
        ([Stand.NOT_YET, Stand.UNKNOWN], Exit.BAD),
        ([Stand.UNKNOWN, Stand.UNKNOWN], Exit.ERROR),
    ],
)
def test_the_exit_code_is_good_only_where_nothing_differs(
    stands: list[Stand], code: Exit, output: Output
) -> None:
    assert printed(*map(compared, stands), output=output)[1] == code


def test_what_differs_is_shown_the_lax_one_first_and_what_is_the_same_is_counted() -> None:
    order = [Stand.LAXER, Stand.STRICTER, Stand.UNKNOWN, Stand.NOT_YET]
    said, _ = printed(SAME, *(compared(stand, f"Pod a/{stand.name}") for stand in reversed(order)))
    places = [said.index(f"Pod a/{stand.name}") for stand in order]
    assert places == sorted(places)
    assert "Pod shop/web" not in said
    assert "5 compared: 1 same, 1 stricter, 1 laxer, 1 not yet, 1 unknown" in said


def test_where_nothing_differs_there_is_no_table() -> None:
    assert printed(SAME)[0].startswith("1 compared: 1 same")


def test_where_nothing_was_asked_that_is_said() -> None:
    assert printed()[0].startswith("nothing to compare")


@pytest.mark.parametrize("output", Output)
@pytest.mark.parametrize("made_up", [True, False])
def test_of_what_objects_were_made_up_is_said_to_people(made_up: bool, output: Output) -> None:
    said, _ = printed(SAME, output=output, made_up=made_up)
    assert (MADE_UP in said) is (made_up and output is Output.TABLE)


@pytest.mark.parametrize("cut", [True, False])
def test_that_images_are_missing_is_said(cut: bool) -> None:
    said, _ = printed(SAME, compared(Stand.SAME, cut=cut))
    assert ("only the first are written down" in said) is cut


@pytest.mark.parametrize(
    ("state", "reason", "ours"),
    [
        ("pass", "", "│ allows │"),
        ("turned", "image nginx: a fail replaced its pass", "│ allows: a fail replaced its pass │"),
        ("exempt", "namespace shop is exempt", "│ allows: namespace shop is exempt │"),
        ("fail", "image nginx: refused by policy a", "│ fail: refused by policy a │"),
        ("fail", "", "│ fail │"),
        ("fail", f"image x@{DIGEST}: of image {DIGEST}", f"│ fail: of image {DIGEST} │"),
        ("fail", f"index a@{DIGEST}", "│ fail: index a@sha256:0123456789ab… │"),
    ],
)
def test_our_answer_is_a_word_and_the_reason_without_the_image_that_stands_beside(
    state: str, reason: str, ours: str
) -> None:
    assert ours in printed(compared(Stand.LAXER, state=state, reason=reason))[0]


@pytest.mark.parametrize(
    ("theirs", "said"),
    [
        (Theirs(True), "│ allows │"),
        (Theirs(False, "no [red]way"), "│ refuses: no [red]way │"),
        (Theirs(None, "HTTP 500"), "│ no answer: HTTP 500 │"),
    ],
)
def test_their_answer_is_a_word_and_what_they_say(theirs: Theirs, said: str) -> None:
    assert said in printed(compared(Stand.NOT_YET, state="pending", theirs=theirs))[0]


def test_what_both_say_is_shown_to_the_end_in_a_narrow_window_too() -> None:
    written = io.StringIO()
    one = compared(Stand.LAXER, reason="q" * 500, theirs=Theirs(False, "z" * 500))
    print_compared(Console(file=written, width=60), [one], output=Output.TABLE, made_up=False)
    assert (written.getvalue().count("q"), written.getvalue().count("z")) == (500, 500)


def test_digests_are_shown_short_and_whole_to_programs() -> None:
    one = compared(Stand.LAXER, images=("a:1", f"b@{DIGEST}"))
    said, _ = printed(one)
    assert "b@sha256:0123456789ab…" in said
    assert DIGEST not in said
    told = json.loads(printed(one, output=Output.JSON)[0])
    assert told["compared"][0]["ours"]["images"] == ["a:1", f"b@{DIGEST}"]


def test_programs_get_every_object_and_every_count() -> None:
    told = json.loads(printed(SAME, UNKNOWN, output=Output.JSON)[0])
    assert told["counts"] == {
        "same": 1,
        "stricter": 0,
        "laxer": 0,
        "not yet": 0,
        "unknown": 1,
    }
    assert [one["stand"] for one in told["compared"]] == ["same", "unknown"]
    assert told["compared"][1]["theirs"] == {"allowed": None, "message": "HTTP 500"}
