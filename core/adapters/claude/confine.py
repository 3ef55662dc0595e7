"""Knows how a child is kept to its own files before it becomes the CLI; it must not import pinnace.

It runs as `python -I -S confine.py [-r PATH]... [-w PATH]... -- COMMAND...`, restricts itself with Landlock (Linux 5.13;
https://docs.kernel.org/userspace-api/landlock.html), and becomes COMMAND. What is beneath `-r` may be read and executed, what
is beneath `-w` also written; nothing else can be opened, by whatever it starts either, root or not. A process that is
restricted cannot look into the memory or the environment of one that is not under the same restriction, nor signal it; root's
capabilities would let it all the same, so they go too.
A path that does not exist is left out. Where the kernel has no Landlock it ends with status 78.
"""

from __future__ import annotations

import ctypes
import os
import stat
import struct
import sys

CREATE_RULESET, ADD_RULE, RESTRICT_SELF = 444, 445, 446
GET_VERSION = 1
PATH_BENEATH = 1
PR_SET_NO_NEW_PRIVS = 38
CAPABILITY_VERSION = 0x20080522
#: EX_CONFIG of sysexits.h.
NOT_POSSIBLE = 78

EXECUTE, WRITE_FILE, READ_FILE, READ_DIR = 1 << 0, 1 << 1, 1 << 2, 1 << 3
TRUNCATE, IOCTL_DEV = 1 << 14, 1 << 15
#: The rights that the kernel's versions know, by version: all of the first 13, then one more each.
RIGHTS = {1: (1 << 13) - 1, 2: (1 << 14) - 1, 3: (1 << 15) - 1, 5: (1 << 16) - 1}
READING = EXECUTE | READ_FILE | READ_DIR
#: What a rule for a file may say.
OF_FILES = EXECUTE | WRITE_FILE | READ_FILE | TRUNCATE | IOCTL_DEV
#: Version 6: no abstract sockets of others, and no signals to others.
SCOPES, SCOPES_SINCE, NETWORK_SINCE = 0b11, 6, 4

_libc = ctypes.CDLL(None, use_errno=True)


def version() -> int:
    """The kernel's version of Landlock, 0 where it has none."""
    if not sys.platform.startswith("linux"):
        return 0
    return max(0, int(_libc.syscall(CREATE_RULESET, None, ctypes.c_size_t(0), ctypes.c_uint32(GET_VERSION))))


def confine(readable: list[str], writable: list[str]) -> None:
    """Restrict this process, and all that it will start, for ever.

    Raises:
        OSError: the kernel refuses.
    """
    known = version()
    every = RIGHTS[max(number for number in RIGHTS if number <= known)] if known else 0
    if not every:
        raise OSError("the kernel has no Landlock")
    attributes = struct.pack("QQQ", every, 0, SCOPES if known >= SCOPES_SINCE else 0)
    size = 24 if known >= SCOPES_SINCE else 16 if known >= NETWORK_SINCE else 8
    ruleset = _called(CREATE_RULESET, attributes, ctypes.c_size_t(size), ctypes.c_uint32(0))
    for path in readable:
        _allow(ruleset, path, every & READING)
    for path in writable:
        _allow(ruleset, path, every)
    if _libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0):
        raise OSError(ctypes.get_errno(), "no_new_privs")
    _called(RESTRICT_SELF, ctypes.c_int(ruleset), ctypes.c_uint32(0))
    os.close(ruleset)
    # With no_new_privs a program that root starts does not get them back (capabilities(7)).
    header, nothing = struct.pack("=Ii", CAPABILITY_VERSION, 0), bytes(24)
    if _libc.capset(header, nothing):
        raise OSError(ctypes.get_errno(), "capabilities")


def _allow(ruleset: int, path: str, rights: int) -> None:
    try:
        place = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except OSError:
        return
    try:
        if not stat.S_ISDIR(os.fstat(place).st_mode):
            rights &= OF_FILES
        rule = struct.pack("=Qi", rights, place)
        _called(ADD_RULE, ctypes.c_int(ruleset), ctypes.c_int(PATH_BENEATH), rule, ctypes.c_uint32(0))
    finally:
        os.close(place)


def _called(number: int, *arguments: object) -> int:
    result = int(_libc.syscall(number, *arguments))
    if result < 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
    return result


def main(words: list[str]) -> None:
    """Restrict this process and become the command."""
    paths: dict[str, list[str]] = {"-r": [], "-w": []}
    while words and words[0] != "--":
        paths[words[0]].append(words[1])
        words = words[2:]
    try:
        confine(paths["-r"], paths["-w"])
    except OSError as error:
        sys.stderr.write(f"cannot be confined: {error}\n")
        sys.exit(NOT_POSSIBLE)
    os.execv(words[1], words[1:])  # noqa: S606 - the command is the server's own


if __name__ == "__main__":
    main(sys.argv[1:])
