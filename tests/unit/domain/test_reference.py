"""References are normalised as Docker does, and what the grammar does not allow is refused."""

import re
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.domain.errors import InvalidReference
from shared.domain.reference import parse_reference

DIGEST = "sha256:" + "a" * 64


@pytest.mark.parametrize(
    ("written", "normal"),
    [
        ("nginx", "docker.io/library/nginx:latest"),
        ("nginx:1.25", "docker.io/library/nginx:1.25"),
        ("docker.io/nginx", "docker.io/library/nginx:latest"),
        ("index.docker.io/library/nginx", "docker.io/library/nginx:latest"),
        ("team/app", "docker.io/team/app:latest"),
        ("localhost/app", "localhost/app:latest"),
        ("localhost:5000/app:1", "localhost:5000/app:1"),
        ("ghcr.io/team/app@" + DIGEST, "ghcr.io/team/app@" + DIGEST),
        ("ghcr.io/team/app:1@" + DIGEST, "ghcr.io/team/app:1@" + DIGEST),
        ("GHCR.io/team/app:V1", "ghcr.io/team/app:V1"),
        ("LOCALHOST/app", "localhost/app:latest"),
        ("Registry:5000/app", "registry:5000/app:latest"),
        ("[::1]:5000/app:1", "[::1]:5000/app:1"),
        ("[0:0:0:0:0:0:0:1]:5000/app:1", "[::1]:5000/app:1"),
        ("[2001:DB8::0:1]/app:1", "[2001:db8::1]/app:1"),
        ("registry.corp:5000/a/b/c", "registry.corp:5000/a/b/c:latest"),
    ],
)
def test_a_reference_is_normalised_as_docker_does(written: str, normal: str) -> None:
    assert str(parse_reference(written)) == normal


@pytest.mark.parametrize(
    "written",
    [
        "",
        " ",
        "nginx ",
        "NGINX",
        "team/App",
        "nginx@sha256:" + "A" * 64,
        "nginx@sha256:" + "a" * 63,
        "nginx@",
        "nginx@sha512:" + "a" * 128,
        "nginx:" + "t" * 129,
        "nginx:-x",
        "nginx\n:1",
        "nginx\x1b[31m",
        "registry.corp:05000/app",
        "registry.corp:0/app",
        "[:::]/app",
        "[1:2]/app",
        "../etc/passwd",
        "ghcr.io/../x",
        "ghcr.io//x",
        "ghcr.io/x/",
        "ngınx",
        "a/" * 200,
        "x" * 4096,
        "http://ghcr.io/x",
        "ghcr.io:port/x",
        "user@ghcr.io/x",
        "Foo/bar:1",
        "A/b@" + DIGEST,
        "a@b@" + DIGEST,
    ],
)
def test_what_the_grammar_does_not_allow_is_refused(written: str) -> None:
    with pytest.raises(InvalidReference):
        parse_reference(written)


@pytest.mark.parametrize(
    "written",
    [
        "a" * 64,
        "sha256:" + "a" * 64,
        "sha256:deadbeef",
        "sha256:d",
        "sha256:" + "a" * 63,
        "sha256:" + "a" * 65,
        "sha384:" + "a" * 96,
        "sha512:" + "a" * 128,
        "sha512:0123",
    ],
)
def test_an_image_id_is_refused_however_short(written: str) -> None:
    """By them containerd finds any image that is on the node, whatever its repository: the kubelet
    hands on what has a tag as it is written (applyDefaultImageTag in pkg/kubelet/images), and what
    no image is named CRI's LocalResolve (internal/cri/server/images/service.go) looks up as an id,
    which can be truncated (Store.Get in internal/cri/store/image, Set.Lookup in
    opencontainers/go-digest, whose algorithms are these three)."""
    with pytest.raises(InvalidReference, match="an image id is not a reference: name a repository"):
        parse_reference(written)


@pytest.mark.parametrize(
    "written",
    [
        "deadbeef",
        "deadbeef:1",
        "a" * 63,
        "sha256",
        "sha256:latest",
        "sha256:1.0",
        "sha1:deadbeef",
        "sha256@" + DIGEST,
        "sha256:deadbeef@" + DIGEST,
        "docker.io/sha256:deadbeef",
        "library/sha256:deadbeef",
        "ghcr.io/sha256:deadbeef",
    ],
)
def test_a_name_that_only_looks_like_an_image_id_is_one(written: str) -> None:
    """No node takes it for an id: to a bare name the kubelet adds `:latest` before it asks, so that
    `deadbeef` is looked up as an id of the algorithm `deadbeef`, which no image has; and with a
    slash or a digest the whole text is no beginning of an id."""
    name = re.split("[:@]", written)[0]
    assert parse_reference(written).path.endswith(name.rpartition("/")[2])


HOSTS = st.text("aAbK.:0-[]", min_size=1, max_size=12) | st.sampled_from(["LOCALHOST", "Docker.IO"])


@given(st.text(max_size=400) | st.builds("{}/{}".format, HOSTS, st.sampled_from(["a", "a/b:1"])))
def test_any_text_gives_one_canonical_form_or_is_refused(written: str) -> None:
    try:
        reference = parse_reference(written)
    except InvalidReference:
        return
    assert parse_reference(str(reference)) == reference
    assert str(reference).isascii()
    assert "\n" not in str(reference)


@pytest.mark.parametrize("piece", ["a-", "a.", "a_", "a", "-", "a/", "0."])
def test_no_pattern_backtracks_without_bound(piece: str) -> None:
    began = time.monotonic()
    with pytest.raises(InvalidReference):
        parse_reference((piece * 500)[:500] + "!")
    assert time.monotonic() - began < 1
