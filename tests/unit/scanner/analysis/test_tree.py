"""The files that layers end up as: the User's name is looked up in the /etc/passwd of these."""

import pytest

from services.scanner.records import AnalysisFailed
from tests.fakes.tars import FOLDER, HARD_LINK, SYMLINK, Part, files, global_header, layer, written
from tests.unit.scanner.analysis.looks import looked

LOW, HIGH = b"low", b"high"
BASE = files({"etc/passwd": LOW, "etc/group": b"x"})


def passwd(*tars: bytes) -> bytes | None:
    found = looked(*tars)
    assert found.passwd_problem == ""
    return found.passwd


@pytest.mark.parametrize(
    "name",
    [
        "etc/passwd",
        "/etc/passwd",
        "./etc/passwd",
        "etc//passwd",
        "etc/./passwd",
        "a/../etc/passwd",
        "../../../etc/passwd",
        "/../etc/passwd",
    ],
)
def test_a_path_is_the_same_in_every_form(name: str) -> None:
    assert passwd(BASE, files({name: HIGH})) == HIGH


@pytest.mark.parametrize("name", ["Etc/passwd", "etc/Passwd", "etc/passwd ", " etc/passwd"])
def test_another_name_is_another_file(name: str) -> None:
    assert passwd(BASE, files({name: HIGH})) == LOW


def test_the_last_of_two_entries_wins() -> None:
    assert passwd(layer(Part("etc/passwd", LOW), Part("./etc/passwd", HIGH))) == HIGH


@pytest.mark.parametrize(
    "upper",
    [
        files({"etc/.wh.passwd": b""}),
        files({".wh.etc": b""}),
        files({"etc/.wh..wh..opq": b""}),
        files({".wh..wh..opq": b""}),
        layer(Part("etc", b"a file")),
        layer(Part("etc/passwd", kind=FOLDER)),
        layer(Part("etc/passwd", kind=SYMLINK, link="/nowhere")),
        layer(Part("etc/passwd", kind=SYMLINK, link="passwd")),
    ],
)
def test_what_an_upper_layer_removes_or_covers_is_gone(upper: bytes) -> None:
    found = looked(BASE, upper)
    assert found.passwd is None


@pytest.mark.parametrize(
    "upper",
    [
        files({"etc/.wh.passwd": b"", "etc/passwd": HIGH}),
        files({"etc/.wh..wh..opq": b"", "etc/passwd": HIGH}),
        files({"etc/passwd": HIGH, "etc/.wh..wh..opq": b""}),
        files({".wh.etc": b"", "etc/passwd": HIGH}),
        layer(Part("etc", kind=FOLDER), Part("etc/passwd", HIGH)),
    ],
)
def test_what_the_same_layer_puts_there_is_not_removed(upper: bytes) -> None:
    assert passwd(BASE, upper) == HIGH


@pytest.mark.parametrize("name", ["etc/.wh.passw", "etc/.wh.passwdx", "etc/wh.passwd", ".wh.opt"])
def test_what_only_looks_like_a_removal_removes_nothing(name: str) -> None:
    assert passwd(BASE, files({name: b""})) == LOW


def test_links_inside_the_image_are_followed_and_none_leads_out() -> None:
    target = Part("opt/real", HIGH)

    for link in ("/opt/real", "../opt/real", "../../../../opt/real", "./../opt/./real"):
        assert passwd(layer(target, Part("etc/passwd", kind=SYMLINK, link=link))) == HIGH
    outside = layer(Part("etc/passwd", kind=SYMLINK, link="/proc/self/environ"))
    assert passwd(outside) is None


def test_a_folder_may_be_a_link_of_the_same_layer() -> None:
    linked = Part("etc", kind=SYMLINK, link="opt/etc")

    assert passwd(layer(linked, Part("opt/etc/passwd", HIGH))) == HIGH
    assert passwd(layer(linked, Part("etc/passwd", HIGH))) == HIGH


def test_a_hard_link_keeps_what_it_named() -> None:
    linked = layer(
        Part("opt/a", LOW),
        Part("etc/passwd", kind=HARD_LINK, link="/opt/a"),
        Part("opt/a", HIGH),
    )

    assert passwd(linked) == LOW
    dangling = looked(layer(Part("etc/passwd", kind=HARD_LINK, link="nowhere")))
    assert dangling.passwd_problem == "/etc/passwd is no file"


def test_a_write_through_a_link_of_another_layer_is_told_where_it_matters() -> None:
    """overlayfs has a folder in the link's place; others write where the link leads."""
    linked = layer(Part("etc", kind=SYMLINK, link="/opt"), Part("opt/passwd", LOW))

    found = looked(linked, files({"etc/passwd": HIGH}))
    assert found.passwd_problem == "which /etc/passwd a node has depends on how it unpacks layers"

    merged = layer(Part("lib", kind=SYMLINK, link="usr/lib"), Part("etc/passwd", LOW))
    assert passwd(merged, files({"lib/x.so": b"x"})) == LOW


def test_a_database_behind_a_write_through_a_link_is_not_believed() -> None:
    linked = layer(Part("var", kind=SYMLINK, link="/data"), Part("data/lib/dpkg/status", LOW))

    found = looked(linked, files({"var/lib/other": HIGH}))
    assert "writes through a link of another layer" in found.doubts[0]


@pytest.mark.parametrize(
    ("tar", "said"),
    [
        (layer(Part("a", b"x"), Part("a/b", b"x")), "files below 'a', which is no folder"),
        (layer(Part("a", kind=SYMLINK, link="a"), Part("a/b", b"x")), "links in circles"),
        (files({"x/.wh.": b""}), "it removes ''"),
        (files({"x/.wh...": b""}), "it removes '..'"),
        (files({"n" * 256: b""}), "a part of over 255 bytes"),
        (files({"é" * 128: b""}), "a part of over 255 bytes"),
        (files({"d/" * 2100: b""}), "a name of over 4096 bytes"),
        (
            written(Part("etc/passwd", LOW)) + global_header({"a": "b"}, name="etc/passwd"),
            "PAX records for all files under the name of one",
        ),
    ],
)
def test_what_no_node_can_unpack_is_refused(tar: bytes, said: str) -> None:
    with pytest.raises(AnalysisFailed, match="layer 1 of the image") as caught:
        looked(tar)
    assert said in str(caught.value)


def test_a_deep_tree_and_long_names_are_no_trouble() -> None:
    deep = "d/" * 2000 + "x"
    assert passwd(BASE, files({deep: b"x", "n" * 255: b"x", "d/.wh..wh..opq": b""})) == LOW
