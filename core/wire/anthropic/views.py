"""Knows how a valid request is read; it must not know what makes one valid.

`body` is the caller's own JSON, verbatim: it is what goes on, and the properties only look at it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class CountTokensRequest:
    """A valid request; the properties are views of `body`."""

    body: dict[str, Any]

    @property
    def model(self) -> str:
        """The model as the caller named it."""
        return str(self.body["model"])

    @property
    def messages(self) -> list[dict[str, Any]]:
        """The conversation."""
        return list(self.body["messages"])

    @property
    def system(self) -> str | list[dict[str, Any]] | None:
        """The system prompt as it was written."""
        system: str | list[dict[str, Any]] | None = self.body.get("system")
        return system

    @property
    def tools(self) -> list[dict[str, Any]]:
        """The tools; empty when there are none."""
        return list(self.body.get("tools") or ())

    @property
    def tool_choice(self) -> dict[str, Any] | None:
        """The choice among the tools."""
        return self._section("tool_choice")

    @property
    def thinking(self) -> dict[str, Any] | None:
        """The settings for thinking."""
        return self._section("thinking")

    @property
    def output_config(self) -> dict[str, Any] | None:
        """Effort and format."""
        return self._section("output_config")

    @property
    def output_schema(self) -> dict[str, Any] | None:
        """The schema that the answer must follow, from `output_config.format` or the older `output_format`."""
        form = (self.output_config or {}).get("format") or self._section("output_format")
        return None if form is None else dict(form["schema"])

    def _section(self, name: str) -> dict[str, Any] | None:
        section: dict[str, Any] | None = self.body.get(name)
        return section


@dataclass(frozen=True, slots=True)
class MessagesRequest(CountTokensRequest):
    """A valid request to create a message."""

    @property
    def max_tokens(self) -> int:
        """The most that the answer may cost."""
        return int(self.body["max_tokens"])

    @property
    def stream(self) -> bool:
        """Whether the answer comes as events."""
        return bool(self.body.get("stream"))

    @property
    def stop_sequences(self) -> list[str]:
        """Where the answer ends; empty when the caller named nothing."""
        return list(self.body.get("stop_sequences") or ())

    @property
    def temperature(self) -> float | None:
        """The temperature, or None for the model's own."""
        temperature: float | None = self.body.get("temperature")
        return temperature

    @property
    def metadata(self) -> dict[str, Any] | None:
        """Who asked, in the caller's own terms."""
        return self._section("metadata")
