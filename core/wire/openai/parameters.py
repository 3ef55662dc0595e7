"""Knows what becomes of every setting of a request beside messages and tools; it must not know what a model makes of it.

Each is carried, or ignored because it is only a hint, or refused by name unless it has its default. Null asks for nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from pinnace.core.errors import InvalidRequest
from pinnace.core.wire.openai.fields import read_choice, read_flag, read_object, read_string, refuse_others, require

#: What Claude Code itself asks for. OpenAI's default is the model's most, which no reader of a request knows; a small number
#: would cut answers short that OpenAI gives whole, and tokens that are not used cost nothing.
DEFAULT_MAX_TOKENS: Final = 32_000

#: Settings that change no answer (where and how long something is cached, stored or guessed at, under which label), and
#: `seed`, which promises nothing.
IGNORED: Final = frozenset(
    {"metadata", "prediction", "prompt_cache_key", "prompt_cache_options", "prompt_cache_retention", "seed"}
)

#: Settings whose effect cannot be given: the values that ask for no effect, and what to say to any other.
REFUSED: Final[Mapping[str, tuple[tuple[Any, ...], str]]] = {
    "audio": ((), "Claude speaks no audio"),
    "frequency_penalty": ((0,), "Claude has no penalties"),
    "function_call": ((), "This old form is not supported; use `tool_choice`"),
    "functions": (([],), "This old form is not supported; use `tools`"),
    "logit_bias": (({},), "Claude's logits cannot be changed"),
    "logprobs": ((False,), "Claude tells no log probabilities"),
    "modalities": ((["text"],), "Claude answers in text alone"),
    "moderation": ((), "There is no moderation here"),
    "n": ((1,), "There is one choice per request"),
    "presence_penalty": ((0,), "Claude has no penalties"),
    "store": ((False,), "Nothing is stored here"),
    "top_logprobs": ((0,), "Claude tells no log probabilities"),
    "verbosity": (("medium",), "Claude has no such setting; ask for it in the system prompt"),
    "web_search_options": ((), "There is no web search here; give the model a tool for it"),
}

#: Settings of Anthropic's own that carry over under their names, so that the paths of their errors are the caller's.
CARRIED_AS_IS: Final = ("thinking", "top_k", "top_p")
#: Everything that this module reads by hand.
TRANSLATED: Final = frozenset(
    {
        "max_completion_tokens",
        "max_tokens",
        "reasoning_effort",
        "response_format",
        "safety_identifier",
        "service_tier",
        "stop",
        "temperature",
        "user",
    }
)

_EFFORTS: Final = {"minimal": "low", "low": "low", "medium": "medium", "high": "high", "xhigh": "xhigh", "max": "max"}
_HOTTEST: Final = 2


def check_refused(body: Mapping[str, Any]) -> None:
    """Refuse what cannot be given.

    Raises:
        InvalidRequest: A setting asks for an effect that cannot be given.
    """
    for name, (harmless, reason) in REFUSED.items():
        value = body.get(name)
        if value is not None and not any(_same(value, accepted) for accepted in harmless):
            raise InvalidRequest(reason, path=name)


def read_parameters(body: Mapping[str, Any]) -> dict[str, Any]:
    """Translate the settings.

    Returns:
        Fields of Anthropic's body.

    Raises:
        InvalidRequest: One of them is wrong, or cannot be carried.
    """
    fields: dict[str, Any] = {"max_tokens": _read_max_tokens(body)}
    fields |= {name: body[name] for name in CARRIED_AS_IS if body.get(name) is not None}
    stop = _read_stop(body.get("stop"))
    if stop:
        fields["stop_sequences"] = stop
    if body.get("temperature") is not None:
        fields["temperature"] = _read_temperature(body["temperature"])
    user = _read_user(body)
    if user:
        fields["metadata"] = {"user_id": user}
    if body.get("service_tier") is not None:
        fields["service_tier"] = _read_tier(body["service_tier"])
    return fields | _read_output(body)


def read_stream(body: Mapping[str, Any]) -> tuple[bool, bool]:
    """Tell whether the answer is streamed, and whether its usage is part of the stream.

    Raises:
        InvalidRequest: One of them is no flag, or `stream_options` asks for something else.
    """
    stream = read_flag(body.get("stream"), "stream")
    if body.get("stream_options") is None:
        return stream, False
    options = read_object(body["stream_options"], "stream_options")
    if read_flag(options.get("include_obfuscation"), "stream_options.include_obfuscation"):
        raise InvalidRequest("Chunks are not padded here", path="stream_options.include_obfuscation")
    refuse_others(options, ("include_usage", "include_obfuscation"), "stream_options")
    return stream, read_flag(options.get("include_usage"), "stream_options.include_usage")


def _same(value: Any, accepted: Any) -> bool:
    # In Python true equals 1; in JSON it does not.
    return isinstance(value, bool) == isinstance(accepted, bool) and value == accepted


def _read_max_tokens(body: Mapping[str, Any]) -> int:
    names = [name for name in ("max_completion_tokens", "max_tokens") if body.get(name) is not None]
    for name in names:
        if type(body[name]) is not int or body[name] < 1:
            raise InvalidRequest("Input should be an integer of at least 1", path=name)
    if len({body[name] for name in names}) > 1:
        raise InvalidRequest("Input should equal `max_completion_tokens`, or be left out", path="max_tokens")
    return body[names[0]] if names else DEFAULT_MAX_TOKENS


def _read_stop(stop: Any) -> list[str]:
    if stop is None:
        return []
    if isinstance(stop, str):
        return [_read_sequence(stop, "stop")]
    if not isinstance(stop, list):
        raise InvalidRequest("Input should be a string or a list of strings", path="stop")
    return [_read_sequence(sequence, f"stop.{index}") for index, sequence in enumerate(stop)]


def _read_sequence(sequence: Any, path: str) -> str:
    if not isinstance(sequence, str) or not sequence.strip():
        raise InvalidRequest("Input should be a string that holds more than white space", path=path)
    return sequence


def _read_temperature(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= _HOTTEST:
        raise InvalidRequest(f"Input should be a number from 0 to {_HOTTEST}", path="temperature")
    # Claude's scale ends at 1; Anthropic's own compatibility layer caps what is above.
    return min(value, 1)


def _read_user(body: Mapping[str, Any]) -> str | None:
    users = [
        read_string(body[name], name) for name in ("safety_identifier", "user") if body.get(name) not in (None, "")
    ]
    return users[0] if users else None


def _read_tier(value: Any) -> str:
    if value not in ("auto", "default"):
        raise InvalidRequest("Input should be 'auto' or 'default'; Claude has no other tiers", path="service_tier")
    return "auto" if value == "auto" else "standard_only"


def _read_output(body: Mapping[str, Any]) -> dict[str, Any]:
    config: dict[str, Any] = {}
    fields: dict[str, Any] = {}
    effort = body.get("reasoning_effort")
    if effort == "none":
        if body.get("thinking") is not None:
            raise InvalidRequest("'none' cannot stand beside `thinking`", path="reasoning_effort")
        fields["thinking"] = {"type": "disabled"}
    elif effort is not None:
        config["effort"] = _EFFORTS[read_choice(effort, {*_EFFORTS, "none"}, "reasoning_effort")]
    schema = _read_format(body.get("response_format"))
    if schema is not None:
        config["format"] = {"type": "json_schema", "schema": schema}
    return fields | ({"output_config": config} if config else {})


def wants_any_json(body: Mapping[str, Any]) -> bool:
    """Whether the answer is to be a JSON object of any form, for which Claude has no mode: it is asked for in words."""
    form = body.get("response_format")
    return isinstance(form, dict) and form.get("type") == "json_object"


def _read_format(value: Any) -> dict[str, Any] | None:
    """Give the schema that the answer must follow, or None for text."""
    if value is None:
        return None
    form = read_object(value, "response_format")
    kind = require(form, "type", "response_format")
    if kind in ("text", "json_object"):
        return None
    read_choice(kind, ("json_object", "json_schema", "text"), "response_format.type")
    path = "response_format.json_schema"
    wanted = read_object(require(form, "json_schema", "response_format"), path)
    refuse_others(wanted, ("name", "description", "schema", "strict"), path)
    read_flag(wanted.get("strict"), f"{path}.strict")
    schema = read_object(require(wanted, "schema", path), f"{path}.schema")
    if wanted.get("description") is None:
        return schema
    # Anthropic has no place for it but the schema, where it means the same.
    return {"description": read_string(wanted["description"], f"{path}.description"), **schema}
