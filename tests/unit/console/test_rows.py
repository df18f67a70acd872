import pytest

from services.console.rows import keys_about

GOOD, OTHER = "a" * 64, "b" * 64
KEYS = (
    f"verdict:docker.io/library/nginx@sha256:{GOOD}#1.2|||policy|anchore",
    f"verdict:docker.io/library/nginx@sha256:{OTHER}#1.21|||policy|anchore",
    f"verdict:registry.corp:5000/team/app@sha256:{OTHER}#|||policy|anchore",
    f"error:registry.corp:5000/team/app@sha256:{GOOD}#v1|||policy|anchore",
    "pointer:registry.corp:5000/team/gone:v1",
)


@pytest.mark.parametrize(
    ("image", "about"),
    [
        ("nginx", (0, 1)),
        ("nginx:1.2", (0,)),
        ("nginx:1.", (0, 1)),
        ("docker.io/library/nginx:1.21", (1,)),
        ("library/ng", (0, 1)),
        ("registry.corp:5000/team", (2, 3, 4)),
        ("registry.corp:5000/team/app:v1", (3,)),
        (f"registry.corp:5000/team/app@sha256:{OTHER}", (2,)),
        ("team/gone:v1", (4,)),
        ("gone", (4,)),
        (GOOD[:12], (0, 3)),
        (f"sha256:{OTHER}", (1, 2)),
        (f"nginx:1.2@sha256:{GOOD}", (0,)),
        (f"registry.corp:5000/team/app@sha256:{GOOD}", (3,)),
        ("NOT A REFERENCE", ()),
        ("aaa", ()),
    ],
)
def test_an_image_is_found_by_the_beginning_of_its_reference_or_digest(
    image: str, about: tuple[int, ...]
) -> None:
    assert keys_about(image, KEYS) == [KEYS[index] for index in about]
