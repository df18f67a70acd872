"""Settings: a frozen struct read from the environment and, below it, from a file.

A field `redis_url` is the variable REDIS_URL and the file's key `redis_url`. A variable
REDIS_URL_FILE names a file that holds the value: how a secret comes in without standing in
the environment. Messages name the key and the type it wants, never the value.
"""

import os
from collections.abc import Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar, get_args, get_origin

import msgspec
import yaml

from shared.domain.errors import InvalidSettings

S = TypeVar("S", bound=msgspec.Struct)

Port = Annotated[int, msgspec.Meta(ge=0, le=65535)]
"""Of TCP; 0 chooses a free one."""

MAX_FILE = 1024 * 1024


class Secret:
    """A text that no log line and no traceback shows; `file`: where it stands, if it does."""

    __slots__ = ("_file", "_now", "_stamp", "_text")

    def __init__(self, text: str, *, file: Path | None = None) -> None:
        self._text = text
        self._file = file
        self._now = text
        self._stamp: tuple[int, int, int] | None = None

    @property
    def value(self) -> str:
        """The text itself, as it was read first."""
        return self._text

    def current(self) -> str:
        """The text as its file holds it now; as it was last, where that holds none."""
        if self._file is None:
            return self._text
        try:
            status = self._file.stat()
            stamp = (status.st_mtime_ns, status.st_size, status.st_ino)
            if stamp != self._stamp:
                self._now = _read(self._file, "a secret").strip() or self._now
                self._stamp = stamp
        except (OSError, InvalidSettings):
            pass  # exchanged at this moment, or taken away: the other side says what it thinks
        return self._now

    def __bool__(self) -> bool:
        return bool(self._text)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other.value == self._text

    def __hash__(self) -> int:
        return hash(self._text)

    def __repr__(self) -> str:
        return "Secret(...)" if self._text else "Secret()"

    __str__ = __repr__


OURS = ("IMAGEGATE_", "ANCHORE_")
SERVERS = ("REDIS_URL", "AMQP_URL")


def read_settings(
    settings: type[S], *, file: Path | None = None, environ: Mapping[str, str] | None = None
) -> S:
    """Read a frozen struct: the environment first, then `file` (YAML), then the defaults.

    Types of fields: str, int, float, bool, Path, Secret, enums and literals, each optional with
    `| None`, and tuples of them (a list in the file, separated by commas in the environment).
    Raises InvalidSettings for a key that is missing, unknown (files only), given twice or wrong.
    """
    variables = os.environ if environ is None else environ
    from_file = _file_values(settings, file) if file else {}
    values: dict[str, Any] = {}
    for field in msgspec.structs.fields(settings):
        found = _variable(variables, field.name)
        if found is not None:
            source, text, kept = found
            value = _convert(_split(text, field.type), field.type, source)
            values[field.name] = Secret(text, file=kept) if isinstance(value, Secret) else value
        elif field.name in from_file:
            source = f"{field.name} in {file}"
            values[field.name] = _convert(from_file[field.name], field.type, source)
        elif field.required:
            raise InvalidSettings(
                f"{field.name.upper()} is not set: set it, or {field.name.upper()}_FILE to a "
                f"file that holds it ({_wanted(field.type)})"
            )
    return settings(**values)


def _variable(variables: Mapping[str, str], name: str) -> tuple[str, str, Path | None] | None:
    """(what to call it in a message, its text, the file), or None when it is not set."""
    key = name.upper()
    # An empty variable is how compose files and shells write "not set".
    text, path = variables.get(key, ""), variables.get(f"{key}_FILE", "")
    if text and path:
        raise InvalidSettings(f"{key} and {key}_FILE are both set: unset one of them")
    if not path:
        return (key, text, None) if text else None
    return f"{key}_FILE", _read(Path(path), f"{key}_FILE").strip(), Path(path)


def _file_values(settings: type[S], file: Path) -> dict[str, Any]:
    text = _read(file, "the settings file")
    try:
        values = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise InvalidSettings(f"{file} is not YAML: {' '.join(str(error).split())}") from error
    if values is None:
        return {}
    if not isinstance(values, dict):
        raise InvalidSettings(f"{file} must hold keys and values, not a {type(values).__name__}")
    known = [field.name for field in msgspec.structs.fields(settings)]
    for key in values:
        if key not in known:
            near = get_close_matches(str(key), known, n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"known are {', '.join(known)}"
            raise InvalidSettings(f"{file}: unknown key {key!r}: {hint}")
    return values


def _read(path: Path, what: str) -> str:
    try:
        with path.open("rb") as stream:
            content = stream.read(MAX_FILE + 1)
        if len(content) > MAX_FILE:
            raise InvalidSettings(f"{what}: {path} is larger than {MAX_FILE} bytes")
        return content.decode()
    except OSError as error:
        raise InvalidSettings(f"{what}: cannot read {path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise InvalidSettings(f"{what}: {path} is not UTF-8") from error


def _split(text: str, wanted: Any) -> Any:
    if get_origin(_bare(wanted)) is tuple:
        return [part.strip() for part in text.split(",") if part.strip()]
    return text


def _convert(value: Any, wanted: Any, source: str) -> Any:
    try:
        return msgspec.convert(value, wanted, strict=False, dec_hook=_own_types)
    except msgspec.ValidationError as error:
        # The value itself may be a secret: what a text holds is not repeated.
        got = "" if isinstance(value, str) else f", not this {type(value).__name__}"
        raise InvalidSettings(f"{source} must be {_wanted(wanted)}{got}") from error


def _own_types(wanted: type, value: Any) -> Any:
    if wanted in (Secret, Path) and isinstance(value, str):
        return wanted(value)
    raise msgspec.ValidationError(f"expected {wanted.__name__}")


def _bare(wanted: Any) -> Any:
    return get_args(wanted)[0] if get_origin(wanted) is Annotated else wanted


def _wanted(wanted: Any) -> str:
    """The type in words a person can act on."""
    if get_origin(wanted) is Annotated:
        return f"{_wanted(get_args(wanted)[0])}{_bounds(get_args(wanted)[1:])}"
    names = {int: "a whole number", float: "a number", bool: "true or false", str: "a text"}
    names |= {Path: "a path", Secret: "a text"}
    if get_origin(wanted) is Literal:
        return "one of " + ", ".join(map(str, get_args(wanted)))
    if get_origin(wanted) is tuple:
        return f"a list, each {_wanted(get_args(wanted)[0])}"
    parts = [part for part in get_args(wanted) if part is not type(None)]
    if parts:
        return " or ".join(map(_wanted, parts))
    if hasattr(wanted, "__members__"):
        return "one of " + ", ".join(str(member.value) for member in wanted)
    return names.get(wanted, str(wanted))


def _bounds(notes: tuple[Any, ...]) -> str:
    words = {"ge": "at least", "gt": "above", "le": "at most", "lt": "below"}
    limits = [
        f"{word} {getattr(note, bound)}"
        for note in notes
        for bound, word in words.items()
        if getattr(note, bound, None) is not None
    ]
    limits += [note.description for note in notes if getattr(note, "description", None)]
    return f" {' and '.join(limits)}" if limits else ""


def required(value: str, name: str, example: str) -> str:
    """`value`, or InvalidSettings that says how to set it: for what only some commands need."""
    if not value:
        raise InvalidSettings(
            f"{name} is not set: set it, for instance to {example}, or {name}_FILE to a file that "
            "holds it"
        )
    return value


def environ_of_others(environ: Mapping[str, str] | None = None) -> dict[str, str]:
    """The environment without what is meant for us: for programs of others that we start, which
    need know no password of ours."""
    return {
        name: value
        for name, value in (os.environ if environ is None else environ).items()
        if not name.startswith(OURS) and name.removesuffix("_FILE") not in SERVERS
    }
