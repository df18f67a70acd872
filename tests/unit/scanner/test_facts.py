"""Facts from Syft's output and a config."""

import json
from typing import Any

import pytest

from services.scanner.analysis.contents import Contents
from services.scanner.analysis.facts import MAX_HISTORY, read_facts
from services.scanner.records import AnalysisFailed, ImageFacts, Package

LISTING = {
    "artifacts": [
        {
            "name": "libc6",
            "version": "2.36-9+b1",
            "type": "deb",
            "metadata": {"source": "glibc", "sourceVersion": "2.36-9"},
        },
        {
            "name": "base-files",
            "version": "12.4",
            "type": "deb",
            "metadata": {"source": "", "sourceVersion": ""},
        },
        {"name": "requests", "version": "2.0", "type": "python"},
    ],
    "distro": {"id": "debian", "versionID": "12"},
    "source": {"metadata": {"imageSize": 4711}},
}
CONFIG = {
    "architecture": "arm64",
    "config": {"User": "app", "ExposedPorts": {"22/tcp": {}}},
    "history": [{"created_by": "USER app"}, {"comment": "nothing"}],
}


PASSWD = b"root:x:0:0:root:/root:/bin/sh\napp:x:1000:1000::/app:/bin/false\n"
CONTENTS = Contents(
    passwd=PASSWD, passwd_problem="", os_releases={}, databases=(), doubts=("a doubt",)
)


def read(
    listing: Any = LISTING, config: Any = CONFIG, dockerfile: bytes | None = None
) -> ImageFacts:
    return read_facts(
        listing=json.dumps(listing).encode(),
        contents=CONTENTS,
        config=json.dumps(config).encode(),
        dockerfile=dockerfile,
        layers=3,
    )


@pytest.mark.parametrize(
    "config",
    [
        b'{"config": {"User": "app"}, "Config": {"User": "root"}}',
        b'{"config": {"User": "app"}, "config": {"User": "root"}}',
        b'{"config": {"User": "app", "user": "root"}}',
        b'{"config": {"User": "app", "U\xc5\xbfer": "root"}}',
        b'{"config": {"User": "app", "User": "root"}}',
        b'{"config": {"User": "app"}, "\xff": 1}',
        b'{"config": {"User": "app"}, "rootfs": {"diff_ids": [], "Diff_ids": ["x"]}}',
        b'{"config": {"User": "app"}, "history": [], "History": [{"created_by": "USER root"}]}',
    ],
)
def test_a_config_that_a_runtime_reads_otherwise_fails_the_analysis(config: bytes) -> None:
    listing = json.dumps(LISTING).encode()
    with pytest.raises(AnalysisFailed, match="config"):
        read_facts(listing=listing, contents=CONTENTS, config=config, dockerfile=None, layers=1)


def test_labels_may_be_named_as_fields_of_the_config_are() -> None:
    labels = {"user": "x", "User": "y", "config": "z", "Config": "z"}
    assert read(config={"config": {"User": "app", "Labels": labels}}).user == "app"


def test_all_that_evaluation_needs_is_there() -> None:
    found = read()

    assert found.packages == (
        Package("libc6", "2.36-9+b1", "deb", "glibc", "2.36-9"),
        Package("base-files", "12.4", "deb", "base-files", "12.4"),
        Package("requests", "2.0", "python", "requests", "2.0"),
    )
    assert (found.distro, found.distro_version, found.architecture) == ("debian", "12", "arm64")
    assert (found.user, found.history, found.exposed_ports) == ("app", ("USER app",), ("22/tcp",))
    assert (found.dockerfile, found.dockerfile_mode) == ("FROM scratch\nUSER app\n", "Guessed")
    assert (found.layers, found.size) == (3, 4711)
    assert (found.user_id, found.user_problem) == (1000, "")
    assert "a doubt" in found.contradictions


def test_what_os_release_says_beyond_its_name_is_kept() -> None:
    distro = {
        "id": "raspbian",
        "versionID": "12",
        "idLike": ["debian"],
        "versionCodename": "bookworm",
        "prettyName": "Raspbian GNU/Linux 12",
    }
    found = read(LISTING | {"distro": distro}, CONFIG | {"os": "linux"})

    assert found.distro_like == ("debian",)
    assert (found.distro_codename, found.distro_name) == ("bookworm", "Raspbian GNU/Linux 12")
    assert found.os_type == "linux"


def test_a_history_without_end_fails_the_analysis() -> None:
    with pytest.raises(AnalysisFailed, match="history of more than"):
        read(config={"history": [{}] * (MAX_HISTORY + 1)})


def test_a_given_dockerfile_is_the_actual_one() -> None:
    found = read(dockerfile=b"FROM debian:12\n")

    assert (found.dockerfile, found.dockerfile_mode) == ("FROM debian:12\n", "Actual")


def test_an_image_without_anything_has_engines_name_for_no_distribution() -> None:
    found = read({"artifacts": []}, {})

    assert (found.distro, found.distro_version, found.user) == ("Unknown", "0", "")


@pytest.mark.parametrize("metadata", [None, [], "x", {"source": 1, "sourceVersion": None}])
def test_metadata_of_another_kind_says_nothing_about_the_source(metadata: Any) -> None:
    listing = {"artifacts": [{"name": "a", "version": "1", "type": "x", "metadata": metadata}]}

    assert read(listing).packages == (Package("a", "1", "x", "a", "1"),)


@pytest.mark.parametrize("config", [{"config": {"User": 0}}, [], {"config": []}, "x"])
def test_a_config_that_is_none_fails_the_analysis(config: Any) -> None:
    with pytest.raises(AnalysisFailed, match="the image's config cannot be read"):
        read(config=config)


@pytest.mark.parametrize("listing", [{}, [], {"artifacts": [{}]}])
def test_output_that_is_none_fails_the_analysis(listing: Any) -> None:
    with pytest.raises(AnalysisFailed, match="syft's output cannot be read"):
        read(listing)
