"""What is an image, what is one that cannot be judged, and what is none."""

import msgspec
import pytest

from shared.adapters.registry.manifests import check_body
from shared.adapters.registry.media_types import require_known
from shared.domain.errors import ErrorKind, NotAnImage, PermanentFailure
from tests.fakes.images import (
    OCI_CONFIG,
    OCI_LAYER,
    OCI_MANIFEST,
    Content,
    artifact,
    bill_of_materials,
    encode,
    helm_chart,
    signature,
    tiny_image,
)

OTHER_CONFIG = "application/vnd.acme.rocket.config.v1+json"


def failure_of(content: Content) -> PermanentFailure | None:
    try:
        check_body(content.media_type, content.manifest, name="app")
    except PermanentFailure as failure:
        return failure
    return None


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (helm_chart(), "application/vnd.cncf.helm.config.v1+json"),
        (signature(), "application/vnd.dev.cosign.simplesigning.v1+json"),
        (bill_of_materials(), "application/spdx+json"),
        (artifact(OTHER_CONFIG), OTHER_CONFIG),
        (artifact(OTHER_CONFIG, "text/plain", "text/html"), OTHER_CONFIG),
        (artifact(OCI_CONFIG, "text/\x1b[31mplain"), "of another type"),
    ],
)
def test_what_holds_no_layer_of_an_image_is_none_and_is_named(content: Content, kind: str) -> None:
    failure = failure_of(content)
    assert isinstance(failure, NotAnImage)
    assert failure.kind is ErrorKind.REFUSED
    assert str(failure).startswith(f"app: it is no container image but {kind}, ")


@pytest.mark.parametrize(
    "content",
    [
        tiny_image(),
        tiny_image(docker=True),
        artifact(OCI_CONFIG),
        artifact(OTHER_CONFIG, OCI_LAYER),
        artifact(OCI_CONFIG, OCI_LAYER, artifact_type="application/vnd.acme.rocket"),
    ],
)
def test_what_holds_only_layers_of_an_image_is_one_whatever_it_is_called(content: Content) -> None:
    assert failure_of(content) is None


@pytest.mark.parametrize(
    "layers",
    [
        [OCI_LAYER, "text/plain"],
        [f"{OCI_LAYER}+encrypted"],
        ["text/plain", OCI_LAYER.upper()],
        ["application/vnd.docker.image.rootfs.diff.tar.zstd"],
        ["text/plain", ""],
    ],
)
@pytest.mark.parametrize("config", [OCI_CONFIG, OTHER_CONFIG])
def test_what_may_be_an_image_that_hides_something_is_refused_as_an_image(
    config: str, layers: list[str]
) -> None:
    failure = failure_of(artifact(config, *layers))
    assert failure is not None
    assert not isinstance(failure, NotAnImage)
    assert failure.kind is ErrorKind.REFUSED


def test_a_body_that_is_not_what_its_type_says_is_untrusted_whatever_it_holds() -> None:
    other = helm_chart()
    body = msgspec.json.decode(other.manifest) | {"manifests": []}
    failure = failure_of(Content(OCI_MANIFEST, encode(body)))
    assert failure is not None
    assert failure.kind is ErrorKind.UNTRUSTED


@pytest.mark.parametrize(
    ("media_type", "error"),
    [
        ("application/vnd.oci.artifact.manifest.v1+json", NotAnImage),
        ("application/vnd.acme.rocket+json", NotAnImage),
        ("application/vnd.docker.distribution.manifest.v1+prettyjws", PermanentFailure),
        ("application/vnd.oci.image.manifest.v2+json", PermanentFailure),
        ("application/json", PermanentFailure),
        ("text/html", PermanentFailure),
        ("", PermanentFailure),
    ],
)
def test_only_a_manifest_that_calls_itself_something_else_is_taken_at_its_word(
    media_type: str, error: type[PermanentFailure]
) -> None:
    with pytest.raises(PermanentFailure) as failure:
        require_known(media_type, name="app")
    assert type(failure.value) is error
