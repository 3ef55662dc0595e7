"""Knows that an ASGI app can be hosted in more than one way, one module a host; it must not host any."""
