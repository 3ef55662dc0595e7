"""Knows which names a file may have and how one is written into a header; no name ever becomes a path of the server."""

from __future__ import annotations

import re
from urllib.parse import quote

from pinnace.core.errors import InvalidRequest

LONGEST = 255
#: What Anthropic refuses, and what would end a line or turn a text around.
_REFUSED = re.compile(r'[<>:"|?*\\/\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]')
#: RFC 5987: `attr-char`, beside letters and digits.
_ATTR_CHAR = "!#$&+-.^_`|~"


def base_name(given: str) -> str:
    """The last component of whatever a client calls a file."""
    return re.split(r"[/\\]", given)[-1].strip()


def check_name(name: str, path: str = "filename") -> str:
    """Refuse what is no name of a file.

    Raises:
        InvalidRequest: it is none.
    """
    if not 1 <= len(name) <= LONGEST:
        raise InvalidRequest(f"must have 1 to {LONGEST} characters", path=path)
    if found := _REFUSED.search(name):
        raise InvalidRequest(f"must not hold {found[0]!r}: rename the file", path=path)
    if not name.strip().strip(". "):
        raise InvalidRequest("must not be dots and spaces alone: rename the file", path=path)
    return name


def disposition(name: str) -> str:
    """`Content-Disposition` of a file to be saved (RFC 6266): the name as it is, and in ASCII for who cannot read that."""
    plain = "".join(letter if letter.isascii() and letter.isprintable() else "_" for letter in name)
    plain = re.sub(r'[\\"]', "_", plain)
    # A percent sign in the plain form is taken for an escape by some.
    plain = plain.replace("%", "_")
    if plain == name:
        return f'attachment; filename="{name}"'
    return f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote(name, safe=_ATTR_CHAR)}"
