"""Exceptions of the file; what one must say: `shared.domain.exceptions.checked`."""

from shared.adapters.rules_file.strict_yaml import Value
from shared.adapters.rules_file.times import moment
from shared.domain.errors import InvalidException
from shared.domain.exceptions import ImageException, checked

KEYS = ("image", "findings", "namespaces", "reason", "owner", "expires")


def exceptions_of(value: Value) -> tuple[ImageException, ...]:
    """All of them, also such as have ended: they do not count any more."""
    return tuple(map(_exception, value.items()))


def _exception(value: Value) -> ImageException:
    fields = value.fields(valid=KEYS, required=KEYS)
    exception = ImageException(
        image=fields["image"].text(),
        findings=tuple(item.text() for item in fields["findings"].items()),
        namespaces=tuple(item.text() for item in fields["namespaces"].items()),
        reason=fields["reason"].text(),
        owner=fields["owner"].text(),
        expires=moment(fields["expires"]),
    )
    try:
        return checked(exception)
    except InvalidException as error:
        raise fields[error.field].wrong(error.what) from error
