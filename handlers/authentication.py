"""Knows how a request says who makes it and in which profile; it must not know what it asks for."""

from __future__ import annotations

from starlette.requests import HTTPConnection

from pinnace.core.errors import InvalidRequest, PermissionRefused
from pinnace.core.model.access import Principal, Scope
from pinnace.core.model.run import Profile
from pinnace.core.settings import Settings
from pinnace.core.wire.names import is_called_by_a_safe_name
from pinnace.handlers._http import context_of
from pinnace.handlers.context import RequestContext
from pinnace.handlers.services import Services


async def authenticate(request: HTTPConnection, services: Services, scope: Scope | None = None) -> Principal:
    """Find out who calls, note whose project it is, and refuse who may not do this.

    The key comes as `Authorization: Bearer` or as `x-api-key`.

    Raises:
        Unauthenticated: there is no key, or it is not good.
        PermissionRefused: the key is not good for `scope`, or there is none and the server is called by a foreign name.
    """
    return await recognize(key_of(request), context_of(request), services, scope)


def key_of(request: HTTPConnection) -> str | None:
    """The key in a request's headers."""
    return request.headers.get("x-api-key") or _bearer(request.headers.get("authorization", "")) or None


async def recognize(
    secret: str | None, context: RequestContext, services: Services, scope: Scope | None = None
) -> Principal:
    """Find out whose key this is, as `authenticate` does."""
    principal = await services.access.authenticate(secret)
    if principal.is_anyone and not is_called_by_a_safe_name(context.host, services.settings.allowed_hosts):
        raise PermissionRefused(
            "This server has no keys, so it is only called by an address or as localhost: make a key (`pinnace init`), or list "
            "the name in allowed_hosts."
        )
    context.principal = principal
    context.project = principal.project_id
    if scope is not None and not principal.may(scope):
        raise PermissionRefused(f"This key is not good for {scope.value}; it needs the scope {scope.value!r}.")
    return principal


async def authenticate_operator(request: HTTPConnection, services: Services) -> Principal:
    """Find out who calls, and refuse the keys of projects: what the server tells of itself is not for its tenants.

    Raises:
        Unauthenticated: there is no key, or it is not good.
        PermissionRefused: the key is a project's, and no administrator's.
    """
    principal = await authenticate(request, services)
    if principal.key is not None and not principal.is_admin:
        raise PermissionRefused("This is for the server's own keys and for administrators.")
    return principal


def profile_of(request: HTTPConnection, settings: Settings, principal: Principal) -> Profile:
    """The profile of a request: its header, else its base URL's prefix, else its key's, else the configured default.

    Raises:
        InvalidRequest: the header names no profile.
    """
    given = request.headers.get("x-pinnace-profile")
    if given is None:
        of_key = principal.key.profile if principal.key else None
        return context_of(request).prefix_profile or of_key or settings.default_profile
    try:
        return Profile(given)
    except ValueError:
        raise InvalidRequest("must be 'messages' or 'agent'", path="x-pinnace-profile") from None


def _bearer(header: str) -> str:
    scheme, _, token = header.partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""
