"""Knows what may be asked of projects and keys, and says in the caller's terms what is wrong; it must not know who may ask."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any, TypeVar

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from pinnace.core.model.access import Budget, BudgetMode, Limits, Scope
from pinnace.core.model.run import Profile
from pinnace.core.wire.admin.money import Dollars
from pinnace.core.wire.anthropic.body import parse_object
from pinnace.core.wire.anthropic.rejection import rejection

Name = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200)]
Pattern = Annotated[str, StringConstraints(min_length=1, max_length=200)]
Count = Annotated[int, Field(ge=0, le=10**15, strict=True)]
Rate = Annotated[int, Field(ge=1, le=10**9, strict=True)]


def _in_utc(moment: datetime) -> datetime:
    try:
        return moment.astimezone(UTC)
    except OverflowError:
        raise ValueError("must be a moment of the years 1 to 9999 in UTC") from None


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid")


class BudgetBody(_Body):
    """A budget; what is missing or null is not bounded."""

    monthly_usd: Dollars | None = None
    total_usd: Dollars | None = None
    monthly_tokens: Count | None = None
    total_tokens: Count | None = None
    mode: BudgetMode = BudgetMode.HARD

    def value(self) -> Budget:
        return Budget(self.monthly_usd, self.total_usd, self.monthly_tokens, self.total_tokens, self.mode)


class LimitsBody(_Body):
    """Limits a minute, and calls at once; what is missing or null is not limited."""

    requests_per_minute: Rate | None = None
    tokens_per_minute: Rate | None = None
    input_tokens_per_minute: Rate | None = None
    output_tokens_per_minute: Rate | None = None
    concurrent: Rate | None = None

    def value(self) -> Limits:
        return Limits(**self.model_dump())


class _ProjectFields(_Body):
    budget: BudgetBody | None = None
    allowed_models: list[Pattern] | None = Field(default=None, max_length=100)

    def fields(self) -> dict[str, Any]:
        """The fields of `Project` that are given."""
        return _given(self)


class ProjectChange(_ProjectFields):
    """What may be changed of a project."""

    name: Name = ""


class NewProject(_ProjectFields):
    """A project to be made."""

    name: Name


class _KeyFields(_Body):
    scopes: list[Scope] | None = Field(default=None, min_length=1)
    profile: Profile | None = None
    allowed_models: list[Pattern] | None = Field(default=None, max_length=100)
    limits: LimitsBody | None = None
    budget: BudgetBody | None = None
    expires_at: Annotated[AwareDatetime, AfterValidator(_in_utc)] | None = None

    def fields(self) -> dict[str, Any]:
        """The fields of `Key` that are given."""
        given = _given(self)
        if "expires_at" in given and self.expires_at is not None:
            given["expires_at"] = self.expires_at.timestamp()
        return given


class KeyChange(_KeyFields):
    """What may be changed of a key."""

    name: Name = ""


class NewKey(_KeyFields):
    """A key to be made."""

    project_id: Annotated[str, StringConstraints(min_length=1, max_length=200)]
    name: Name

    def fields(self) -> dict[str, Any]:
        given = super().fields()
        del given["project_id"]
        return given


class RouteQuestion(_Body):
    """Which model for a task; `context_size` is in tokens."""

    task_description: Annotated[str, StringConstraints(min_length=1, max_length=1_000_000)]
    context_size: Count = 0
    tools: Count = 0


B = TypeVar("B", bound=BaseModel)


def read(shape: type[B], raw: bytes) -> B:
    """Read a body.

    Raises:
        InvalidRequest: `path` names the first field that is wrong.
    """
    try:
        return shape.model_validate(parse_object(raw))
    except ValidationError as error:
        raise rejection(error) from None


def moment(seconds: float | None) -> str | None:
    """A moment as RFC 3339 in UTC; None stays None."""
    if seconds is None:
        return None
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def _given(body: _ProjectFields | _KeyFields) -> dict[str, Any]:
    """The fields that were written, null as the value that stands for nothing."""
    given: dict[str, Any] = {name: getattr(body, name) for name in body.model_fields_set}
    for name, nothing in (("budget", Budget()), ("limits", Limits())):
        if name in given:
            given[name] = nothing if given[name] is None else given[name].value()
    if "allowed_models" in given:
        given["allowed_models"] = tuple(given["allowed_models"] or ())
    if "scopes" in given:
        given["scopes"] = frozenset(given["scopes"] or ())
        if not given["scopes"]:
            del given["scopes"]
    return given
