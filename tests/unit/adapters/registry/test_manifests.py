"""Indexes as a runtime reads them."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.adapters.registry.manifests import Entry, check_body, entries_of
from shared.domain.errors import ErrorKind, PermanentFailure
from tests.fakes.images import DOCKER_LAYER, OCI_INDEX, OCI_LAYER, OCI_MANIFEST, encode

DIGEST = f"sha256:{'a' * 64}"
HERE = ("linux/amd64",)
AMD64 = {"os": "linux", "architecture": "amd64"}


def index_body(**entry: object) -> bytes:
    return encode({"manifests": [{"mediaType": OCI_MANIFEST, "digest": DIGEST, **entry}]})


def read(body: bytes) -> list[Entry]:
    check_body(OCI_INDEX, body, name="app")
    return entries_of(body, name="app")


@pytest.mark.parametrize(
    ("platform", "expected"),
    [
        ({"os": "linux", "architecture": "amd64"}, ("linux", "amd64", "")),
        ({"os": "Linux", "architecture": "AMD64"}, ("linux", "amd64", "")),
        ({"os": "linux", "architecture": "x86_64"}, ("linux", "amd64", "")),
        ({"os": "linux", "architecture": "x86-64"}, ("linux", "amd64", "")),
        ({"os": "linux", "architecture": "aarch64"}, ("linux", "arm64", "")),
        ({"os": "linux", "architecture": "armhf"}, ("linux", "arm", "v7")),
        ({"os": "linux", "architecture": "armel", "variant": "v5"}, ("linux", "arm", "v6")),
        ({"os": "linux", "architecture": "i386"}, ("linux", "386", "")),
        ({"os": "macOS", "architecture": "arm64"}, ("darwin", "arm64", "")),
        ({"os": "linux", "architecture": "arm64", "variant": "V8"}, ("linux", "arm64", "v8")),
    ],
)
def test_platforms_are_spelt_as_containerd_does(
    platform: dict[str, str], expected: tuple[str, str, str]
) -> None:
    (entry,) = read(index_body(platform=platform))
    made = entry.manifest()
    assert (made.os, made.architecture, made.variant) == expected
    assert made.digest == DIGEST


@pytest.mark.parametrize(
    "platform", [None, {}, {"os": "linux"}, {"architecture": "amd64"}, {"variant": "v8"}]
)
def test_an_entry_without_a_whole_platform_counts_everywhere(
    platform: dict[str, str] | None,
) -> None:
    (entry,) = read(index_body(platform=platform))
    assert entry.manifest().counts(HERE)


@pytest.mark.parametrize("machine", ["x86_64", "AMD64", "x86-64", "amd64"])
def test_no_spelling_of_a_platform_that_a_runtime_takes_is_skipped(machine: str) -> None:
    (entry,) = read(index_body(platform={"os": "LINUX", "architecture": machine}))
    assert entry.manifest().counts(HERE)


@pytest.mark.parametrize(
    "platform",
    [
        {"os": "l\u0130nux", "architecture": "amd64"},  # Go makes "linux" of it, Python does not
        {"os": "linux", "architecture": "amd\uff16\uff14"},
    ],
)
def test_a_platform_outside_ascii_hides_no_entry(platform: dict[str, str]) -> None:
    (entry,) = read(index_body(platform=platform))
    assert entry.manifest().counts(HERE)


@pytest.mark.parametrize(
    ("platform", "exact"),
    [
        ({"os": "linux", "architecture": "amd64"}, True),
        ({"os": "linux", "architecture": "x86_64"}, True),
        ({"os": "linux", "architecture": "amd64", "variant": "v1"}, False),
        ({"os": "linux", "architecture": "arm64", "variant": "v8"}, True),
        ({"os": "linux", "architecture": "aarch64", "variant": "8"}, True),
        ({"os": "linux", "architecture": "amd64", "variant": "v3"}, False),
        ({"os": "linux", "architecture": "arm64", "variant": "v9"}, False),
        ({"os": "linux", "architecture": "amd64", "os.version": "6"}, False),
        ({"os": "linux", "architecture": "amd64", "os.features": ["x"]}, False),
        ({"os": "linux"}, False),
    ],
)
def test_only_an_entry_that_every_node_of_its_platform_takes_is_exact(
    platform: dict[str, object], exact: bool
) -> None:
    (entry,) = read(index_body(platform=platform))
    assert entry.manifest().exact is exact


def test_an_entry_that_is_no_image_is_never_exact() -> None:
    (entry,) = read(index_body(platform=AMD64, mediaType="application/vnd.example"))
    assert not entry.manifest().exact


def test_only_an_unknown_platform_is_skipped() -> None:
    (entry,) = read(index_body(platform={"os": "unknown", "architecture": "unknown"}))
    assert not entry.manifest().counts(HERE)


@pytest.mark.parametrize(
    "body",
    [
        b'{"manifests": null}',
        b'{"manifests": {}}',
        b'{"manifests": [1]}',
        b'{"manifests": [{}]}',
        b'{"manifests": [], "layers": []}',
        b'{"manifests": [], "config": {}}',
        b'{"manifests": [], "fsLayers": []}',
        b'{"manifests": [], "manifests": []}',
        b'{"manifests": [], "MANIFESTS": []}',
        b'{"manifests": [], "mediaType": "x"}',
        index_body(digest="sha512:" + "a" * 128),
        index_body(digest="../../x"),
        index_body(Digest=DIGEST),
        index_body(platform="linux/amd64"),
        index_body(platform={"os": None, "architecture": "amd64"}),
        index_body(platform={"OS": "linux", "os": "windows", "architecture": "amd64"}),
        index_body(mediatype=OCI_INDEX),
        index_body(platform={**AMD64, "OS.Features": ["x"]}),
        index_body(platform={**AMD64, "os.features": [], "os.featureS": ["x"]}),
        index_body(platform={**AMD64, "os.Version": "6"}),
        b'{"manifests": [], "Annotations": {}}',
        b'{"manifests": [], "annotations": {}, "annotations": {}}',
    ],
)
def test_an_index_that_could_be_read_in_two_ways_is_untrusted(body: bytes) -> None:
    with pytest.raises(PermanentFailure) as caught:
        read(body)
    assert caught.value.kind is ErrorKind.UNTRUSTED


@pytest.mark.parametrize(
    "layer",
    [
        {},
        {"mediaType": ""},
        {"mediaType": None},
        {"mediaType": [OCI_LAYER]},
        {"mediaType": "application/vnd.sylabs.sif.layer.v1.sif"},
        {"mediaType": "application/vnd.docker.image.rootfs.diff.tar.zstd"},
        {"mediaType": f"{OCI_LAYER}+encrypted"},
        {"mediaType": OCI_LAYER.upper()},
        "layer",
        None,
    ],
)
def test_a_layer_that_some_runtime_leaves_out_makes_it_no_image_we_can_judge(
    layer: object,
) -> None:
    layers = [{"mediaType": OCI_LAYER}, layer]
    with pytest.raises(PermanentFailure, match="layer"):
        check_body(OCI_MANIFEST, encode({"config": {}, "layers": layers}), name="app")


@pytest.mark.parametrize(
    ("media_type", "content"),
    [
        (OCI_MANIFEST, {"config": {}, "layers": [{"mediaType": OCI_LAYER}]}),
        (OCI_INDEX, {"manifests": []}),
    ],
)
@pytest.mark.parametrize(
    "annotation",
    [
        "org.criu.checkpoint.container.name",
        "org.criu.checkpoint.rootfsImageName",
        "io.kubernetes.cri-o.annotations.checkpoint.name",
        "io.kubernetes.containerd.annotations.checkpoint.name",
        "io.podman.annotations.checkpoint.name",
        "checkpointctl.annotation.checkpoint.name",
    ],
)
def test_a_checkpoint_is_refused_since_nodes_restore_another_image_from_it(
    media_type: str, content: dict[str, object], annotation: str
) -> None:
    marked = encode({**content, "annotations": {"org.example": "x", annotation: ""}})
    with pytest.raises(PermanentFailure, match="checkpoint of a container") as caught:
        check_body(media_type, marked, name="app")
    assert caught.value.kind is ErrorKind.REFUSED


@pytest.mark.parametrize(
    "annotations", [None, {}, {"org.opencontainers.image.base.name": "a/checkpoint:1"}]
)
def test_other_annotations_are_nobody_s_business(annotations: object) -> None:
    body = encode({"manifests": [], "annotations": annotations})
    check_body(OCI_INDEX, body, name="app")


@pytest.mark.parametrize(
    "media_type",
    [
        "application/vnd.oci.image.layer.v1.tar",
        "application/vnd.oci.image.layer.v1.tar+zstd",
        "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip",
        "application/vnd.docker.image.rootfs.diff.tar",
        "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip",
        OCI_LAYER,
        DOCKER_LAYER,
    ],
)
def test_layers_that_every_runtime_unpacks_are_taken(media_type: str) -> None:
    body = encode({"config": {}, "layers": [{"mediaType": media_type}]})
    check_body(OCI_MANIFEST, body, name="app")


@given(st.binary(max_size=200) | st.text(max_size=200).map(str.encode))
def test_no_body_makes_it_fail_in_another_way(body: bytes) -> None:
    for media_type in (OCI_INDEX, OCI_MANIFEST):
        with contextlib.suppress(PermanentFailure):
            check_body(media_type, body, name="app")
