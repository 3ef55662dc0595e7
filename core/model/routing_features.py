"""Knows what can be seen of a request's difficulty without a model; it must not know rules, thresholds, models or prices."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from pinnace.core.model.routing_words import Kind, keywords_in

#: UTF-8 bytes: about four letters of English a token, and a little more than one character of Chinese.
_BYTES_A_TOKEN = 4
#: What the API documents for an image of the largest size that it does not shrink.
_TOKENS_AN_IMAGE = 1_600
#: A page of a PDF is some 2,000 tokens and some 60 kB, which are 80,000 characters of base64.
_BASE64_A_DOCUMENT_TOKEN = 40
#: A document behind a URL or a file id cannot be seen from here; a few pages.
_TOKENS_UNSEEN = 4_000
#: What is asked stands before or after what is pasted; characters at each end.
_WINDOW = 1_000

# Each ends at the end of the text at the latest, so that a text of openings alone takes linear time.
_REMINDER = re.compile(r"<system-reminder>.*?(?:</system-reminder>|\Z)", re.DOTALL)
_CODE = re.compile(r"```.*?(?:```|\Z)", re.DOTALL)
#: What stands in quotation marks is talked about, and asks for nothing.
_QUOTED = re.compile('"[^"\n]{1,400}"|“[^”\n]{1,400}”|„[^“”\n]{1,400}[“”]|«[^»\n]{1,400}»|「[^」\n]{1,400}」')
_ITEM = re.compile(r"^[ \t]*(?:[-*•]|\d{1,3}[.)])[ \t]+\S", re.MULTILINE)
#: \uff1f is the full-width one of Chinese and Japanese.
_QUESTION = re.compile("\\?(?=\\s|$)|\uff1f")
_UNSPACED = re.compile("[\u3040-\u30ff\u3400-\u9fff]")


@dataclass(frozen=True, slots=True)
class Features:
    """What is seen of a request.

    Attributes:
        words: Of what is asked, without code; two Chinese or Japanese characters are a word.
        context_tokens: Of the whole conversation with its system prompt and attachments, without the definitions of tools.
        turns: Of the user.
        tools: That the caller defines.
        images: In the whole conversation.
        documents: In the whole conversation.
        code_blocks: In what is asked.
        list_items: In what is asked.
        questions: In what is asked.
        simple: Words that tell a simple task.
        making: Words that tell that a text or a program is to be made.
        analysis: Words that tell analysis, architecture or debugging.
        hard: Words that tell hard reasoning.
    """

    words: int = 0
    context_tokens: int = 0
    turns: int = 1
    tools: int = 0
    images: int = 0
    documents: int = 0
    code_blocks: int = 0
    list_items: int = 0
    questions: int = 0
    simple: tuple[str, ...] = ()
    making: tuple[str, ...] = ()
    analysis: tuple[str, ...] = ()
    hard: tuple[str, ...] = ()


def features_of(body: Mapping[str, Any], *, context_tokens: int | None = None) -> Features:
    """See what an Anthropic Messages body asks; `context_tokens` takes the place of the estimate where they were counted.

    Words and structure are those of the last turn in which the user says something: the results of tools are no question, and
    a request in the middle of the agent's work is judged as the one that began it.
    """
    messages = [message for message in _listed(body.get("messages")) if isinstance(message, Mapping)]
    said = [text for message in messages if message.get("role") == "user" and (text := _said(message.get("content")))]
    weighed, images, documents = _weigh(body.get("system"), messages)
    return _features(
        said[-1] if said else "",
        context_tokens=weighed if context_tokens is None else context_tokens,
        turns=len(said),
        tools=len(_listed(body.get("tools"))),
        images=images,
        documents=documents,
    )


def features_of_task(description: str, context_tokens: int = 0, *, tools: int = 0) -> Features:
    """See what a description asks; `context_tokens` is the size of all that the model would read."""
    return _features(description, context_tokens=max(context_tokens, _tokens(description)), turns=1, tools=tools)


def _features(
    text: str, *, context_tokens: int, turns: int, tools: int, images: int = 0, documents: int = 0
) -> Features:
    prose, code_blocks = _CODE.subn(" ", text)
    asked = prose if len(prose) <= 2 * _WINDOW else f"{prose[:_WINDOW]}\n{prose[-_WINDOW:]}"
    asked = _QUOTED.sub(" ", asked)
    keywords = keywords_in(asked)
    return Features(
        words=_words(prose),
        context_tokens=context_tokens,
        turns=turns,
        tools=tools,
        images=images,
        documents=documents,
        code_blocks=code_blocks,
        list_items=len(_ITEM.findall(prose)),
        questions=len(_QUESTION.findall(asked)),
        simple=keywords[Kind.SIMPLE],
        making=keywords[Kind.MAKING],
        analysis=keywords[Kind.ANALYSIS],
        hard=keywords[Kind.HARD],
    )


def _said(content: Any) -> str:
    if isinstance(content, str):
        texts = [content]
    else:
        blocks = [block for block in _listed(content) if isinstance(block, Mapping) and block.get("type") == "text"]
        texts = [text for block in blocks if isinstance(text := block.get("text"), str)]
    return _REMINDER.sub(" ", "\n".join(texts)).strip()


def _words(text: str) -> int:
    if text.isascii():
        return len(text.split())
    spaced, unspaced = _UNSPACED.subn(" ", text)
    return len(spaced.split()) + unspaced // 2


def _weigh(*parts: Any) -> tuple[int, int, int]:
    """Estimate the tokens of what the model reads, and count the images and the documents in it."""
    tokens, images, documents = 0, 0, 0
    stack = list(parts)
    while stack:
        value = stack.pop()
        if isinstance(value, str):
            tokens += _tokens(value)
        elif isinstance(value, Mapping):
            images += value.get("type") == "image"
            documents += value.get("type") == "document"
            attached = _attached(value)
            tokens += attached or 0
            stack.extend(_read(value) if attached is None else ())
        else:
            stack.extend(_listed(value))
    return tokens, images, documents


def _attached(block: Mapping[str, Any]) -> int | None:
    """Estimate the tokens of an image or a document that is no text here; None where the block is to be read."""
    if block.get("type") == "image":
        return _TOKENS_AN_IMAGE
    source = block.get("source")
    if block.get("type") != "document" or not isinstance(source, Mapping) or source.get("type") in {"text", "content"}:
        return None
    data = source.get("data")
    return len(data) // _BASE64_A_DOCUMENT_TOKEN if isinstance(data, str) else _TOKENS_UNSEEN


def _read(block: Mapping[str, Any]) -> Iterator[Any]:
    unread = {"type", "role", "id", "tool_use_id", "cache_control", "signature", "media_type"}
    return (value for name, value in block.items() if name not in unread)


def _tokens(text: str) -> int:
    # JSON may hold half a surrogate pair, which UTF-8 cannot.
    length = len(text) if text.isascii() else len(text.encode("utf-8", "surrogatepass"))
    return -(-length // _BYTES_A_TOKEN)


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []
