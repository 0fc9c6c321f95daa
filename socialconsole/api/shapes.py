"""The base of what goes in and out: camelCase names, unknown fields refused, instants in RFC 3339 and UTC."""

from datetime import UTC, datetime
from typing import Annotated, Any, TypeVar

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    ConfigDict,
    Field,
    PlainSerializer,
    ValidationError,
    WithJsonSchema,
)
from pydantic.alias_generators import to_camel

from .problems import Fault, Problem

LIMIT, MOST = 25, 100  # rows on a page
LONGEST = 500  # characters of a message that repeats what was sent


def _no_nul(text: str) -> str:
    """A NUL is text to JSON and none to a database."""
    if "\x00" in text:
        raise ValueError("contains the character U+0000, which no text may have")
    return text


def _rfc3339(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


Text = Annotated[str, AfterValidator(_no_nul)]
Instant = Annotated[AwareDatetime, PlainSerializer(_rfc3339, return_type=str),
                    WithJsonSchema({"type": "string", "format": "date-time"})]
Id = Annotated[str, Field(pattern=r"^[a-z]{2,5}_[0-9A-Za-z]{1,40}$", examples=["acc_01J8Z0WQ4T7M2V6N9R3K5X1B7C"])]


class Shape(BaseModel):
    """Something that is sent or received."""

    model_config = ConfigDict(extra="forbid", alias_generator=to_camel, populate_by_name=True, ser_json_inf_nan="null",
                              allow_inf_nan=False)


class Paging(Shape):
    """How much of a list, and from where on."""

    limit: int = Field(LIMIT, ge=1, le=MOST, description="How many at most.")
    cursor: Text | None = Field(None, max_length=200, description="`nextCursor` of the page before.")


class Nothing(Shape):
    """No fields."""


Shaped = TypeVar("Shaped", bound=Shape)


def read_json(shape: type[Shaped], raw: bytes) -> Shaped:
    """A body as its shape. Raises Problem: malformed for what is no JSON, invalid with each field that is wrong."""
    try:
        return shape.model_validate_json(raw or b"{}", strict=True, by_name=False, by_alias=True)
    except ValidationError as error:
        raise _problem(error) from None
    except (ValueError, RecursionError):
        raise Problem("malformed", "The body is not JSON.") from None


def read_query(shape: type[Shaped], given: dict[str, Any]) -> Shaped:
    """A query as its shape. Raises Problem likewise."""
    try:
        return shape.model_validate(given, by_name=False, by_alias=True)
    except ValidationError as error:
        raise _problem(error) from None


def _problem(error: ValidationError) -> Problem:
    found = error.errors(include_url=False, include_context=False, include_input=False)
    if any(one["type"] == "json_invalid" for one in found):
        return Problem("malformed", f"The body is not JSON: {found[0]['msg'][:LONGEST]}.")
    faults = [Fault(".".join(str(part) for part in one["loc"])[:LONGEST], _words(one["type"], one["msg"]))
              for one in found[:50]]
    return Problem("invalid", "; ".join(f"{one.field or 'the body'}: {one.message}" for one in faults[:3])[:LONGEST],
                   faults)


def _words(kind: str, message: str) -> str:
    if kind == "extra_forbidden":
        return "There is no such field."
    if kind == "missing":
        return "This field is needed."
    return message[:LONGEST]
