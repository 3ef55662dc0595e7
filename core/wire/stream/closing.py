"""Knows the codes that a socket is closed with, and what each says; it must not know when that is done."""

from __future__ import annotations

from enum import IntEnum


class CloseCode(IntEnum):
    """RFC 6455 leaves 4000 to 4999 to applications; the last two digits are those of the HTTP status that says the same.

    1009 is not among them: whoever reads the socket closes it by itself at a message that is too big.
    """

    GOING_AWAY = 1001
    BROKEN = 1011
    BAD_FRAMES = 4400
    UNAUTHENTICATED = 4401
    FOREIGN_ORIGIN = 4403
    NO_KEY_IN_TIME = 4408

    @property
    def reason(self) -> str:
        """A few words; the protocol has room for 123 bytes."""
        return _REASONS[self]


_REASONS = {
    CloseCode.GOING_AWAY: "the server is shutting down",
    CloseCode.BROKEN: "the server failed",
    CloseCode.BAD_FRAMES: "too many bad frames in a row",
    CloseCode.UNAUTHENTICATED: "the key is not valid",
    CloseCode.FOREIGN_ORIGIN: "pages of this origin may not connect",
    CloseCode.NO_KEY_IN_TIME: "no key came in time",
}
