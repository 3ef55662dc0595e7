"""Knows the OpenAPI document of this server, made from the shapes that judge requests; it must not know how they are served."""

from __future__ import annotations

from functools import cache
from typing import Any

from pinnace.core.wire.admin.bodies import KeyChange, NewKey, NewProject, ProjectChange, RouteQuestion
from pinnace.core.wire.admin.file_bodies import LONGEST, SHORTEST, NewUpload
from pinnace.core.wire.admin.session_bodies import Fork, NewSession
from pinnace.core.wire.anthropic.requests import request_schema
from pinnace.core.wire.batch import Batch

ERROR = {
    "type": "object",
    "required": ["type", "error", "request_id"],
    "properties": {
        "type": {"const": "error"},
        "error": {
            "type": "object",
            "required": ["type", "message"],
            "properties": {"type": {"type": "string"}, "message": {"type": "string"}, "details": {}},
        },
        "request_id": {"type": "string"},
    },
}
OBJECT = {"type": "object"}
CHAT = {
    "type": "object",
    "required": ["model", "messages"],
    "properties": {
        "model": {"type": "string", "minLength": 1},
        "messages": {"type": "array", "minItems": 1, "items": {"type": "object", "required": ["role"]}},
        "stream": {"type": "boolean"},
    },
}
MESSAGE_BATCH = {
    "type": "object",
    "required": ["requests"],
    "properties": {
        "requests": {
            "type": "array",
            "minItems": 1,
            "items": {
                "type": "object",
                "required": ["custom_id", "params"],
                "properties": {"custom_id": {"type": "string", "pattern": "^[a-zA-Z0-9_-]{1,64}$"}, "params": OBJECT},
            },
        }
    },
}
UPLOAD = {
    "type": "object",
    "required": ["file"],
    "properties": {
        "file": {"type": "string", "format": "binary"},
        "expires_in_seconds": {"type": "integer", "minimum": SHORTEST, "maximum": LONGEST},
    },
}
OWN_BODIES = (NewProject, ProjectChange, NewKey, KeyChange, RouteQuestion, Batch, NewSession, Fork, NewUpload)


def _json(schema: dict[str, Any], description: str = "Success") -> dict[str, Any]:
    return {"description": description, "content": {"application/json": {"schema": schema}}}


_ERRORS = {"default": _json({"$ref": "#/components/schemas/Error"}, "An error")}


def _get(summary: str, schema: dict[str, Any], parameters: list[dict[str, Any]] | None = None) -> dict[str, Any]:
    operation: dict[str, Any] = {"summary": summary, "responses": {"200": _json(schema)} | _ERRORS}
    return {"get": operation | ({"parameters": parameters} if parameters else {})}


def _patch(summary: str, body: str) -> dict[str, Any]:
    return {"patch": _post(summary, body, OBJECT)["post"]}


def _delete(summary: str) -> dict[str, Any]:
    return {"delete": {"summary": summary, "responses": {"200": _json(OBJECT)} | _ERRORS}}


def _query(name: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {"name": name, "in": "query", "required": False, "schema": schema}


def _post(summary: str, body: str, answer: dict[str, Any], *, streams: bool = False) -> dict[str, Any]:
    content = {"application/json": {"schema": {"$ref": f"#/components/schemas/{body}"}}}
    success = _json(answer)
    if streams:
        success["content"]["text/event-stream"] = {"schema": {"type": "string"}}
    return {
        "post": {
            "summary": summary,
            "requestBody": {"required": True, "content": content},
            "responses": {"200": success} | _ERRORS,
        }
    }


def _command(summary: str) -> dict[str, Any]:
    """A POST without a body."""
    return {"post": {"summary": summary, "responses": {"200": _json(OBJECT)} | _ERRORS}}


def _file(summary: str) -> dict[str, Any]:
    """A file that is fetched, and put in."""
    octets = {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}}
    fetched = {"description": "The bytes.", "content": octets}
    body = {"required": True, "content": octets}
    return {
        "get": {"summary": summary, "responses": {"200": fetched} | _ERRORS},
        "put": {"summary": f"{summary}, put in", "requestBody": body, "responses": {"201": _json(OBJECT)} | _ERRORS},
    }


def _upload(summary: str) -> dict[str, Any]:
    body = {"required": True, "content": {"multipart/form-data": {"schema": UPLOAD}}}
    return {"post": {"summary": summary, "requestBody": body, "responses": {"200": _json(OBJECT)} | _ERRORS}}


@cache
def document(version: str) -> dict[str, Any]:
    """Give the whole document; made once."""
    schemas: dict[str, Any] = {"Error": ERROR, "ChatCompletion": CHAT, "MessageBatch": MESSAGE_BATCH}
    for name, counting in (("CreateMessage", False), ("CountTokens", True)):
        schema = dict(request_schema(counting=counting))
        schemas |= schema.pop("$defs", {})
        schemas[name] = schema
    for shape in OWN_BODIES:
        schema = shape.model_json_schema(ref_template="#/components/schemas/{model}")
        schemas |= schema.pop("$defs", {})
        schemas[shape.__name__] = schema
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "pinnace",
            "version": version,
            "summary": "Claude Code as an HTTP API.",
            "description": "`WS /v1/stream` is not here, because OpenAPI has no words for a WebSocket; docs/websocket.md has.",
        },
        "security": [{"key": []}, {"bearer": []}],
        "paths": _paths(),
        "components": {
            "schemas": schemas,
            "securitySchemes": {
                "key": {"type": "apiKey", "in": "header", "name": "x-api-key"},
                "bearer": {"type": "http", "scheme": "bearer"},
            },
        },
    }


def _paths() -> dict[str, Any]:
    limit = {"type": "integer", "minimum": 1, "maximum": 1000}
    text = {"type": "string"}
    version_header = {"name": "anthropic-version", "in": "header", "required": True, "schema": {"const": "2023-06-01"}}
    paging = [version_header, _query("limit", limit)]
    model_id = {"name": "model_id", "in": "path", "required": True, "schema": text}
    listing = [_query("limit", limit), _query("after_id", text)]
    of_project, of_key, of_session, of_path, of_batch = (
        {"parameters": [{"name": name, "in": "path", "required": True, "schema": text}]}
        for name in ("project_id", "key_id", "session_id", "path", "batch_id")
    )
    of_file = {"parameters": [*of_session["parameters"], *of_path["parameters"]]}
    of_upload = {"parameters": [{"name": "file_id", "in": "path", "required": True, "schema": text}]}
    ids = _query("ids[]", {"type": "array", "items": text, "maxItems": 100})
    return {
        "/v1/messages": _post("Create a message", "CreateMessage", OBJECT, streams=True),
        "/v1/messages/count_tokens": _post("Count the tokens of a request", "CountTokens", OBJECT),
        "/v1/chat/completions": _post("Create a chat completion", "ChatCompletion", OBJECT, streams=True),
        "/v1/cache": _delete("Forget the cached answers of a project"),
        "/v1/messages/batches": _get("List the message batches", OBJECT, [*listing, _query("before_id", text)])
        | _post("Create a message batch", "MessageBatch", OBJECT),
        "/v1/messages/batches/{batch_id}": of_batch
        | _get("Show a message batch", OBJECT)
        | _delete("Leave nothing of a message batch"),
        "/v1/messages/batches/{batch_id}/cancel": of_batch | _command("Stop a message batch"),
        "/v1/messages/batches/{batch_id}/results": of_batch | _get("The results of a message batch", OBJECT),
        "/v1/batch": _post("Run a list of requests", "Batch", OBJECT),
        "/v1/route": _post("Choose a model for a task", "RouteQuestion", OBJECT),
        "/v1/usage": _get(
            "What a project used",
            OBJECT,
            [_query(name, text) for name in ("project_id", "key_id", "model", "period", "from", "to", "format")],
        ),
        "/v1/logs/stats": _get(
            "How requests fared, by model, by hour and by path",
            OBJECT,
            [_query(name, text) for name in ("project_id", "period", "from", "to")],
        ),
        "/v1/projects": _get("List the projects", OBJECT, listing) | _post("Make a project", "NewProject", OBJECT),
        "/v1/projects/{project_id}": of_project
        | _get("Show a project with what it spent", OBJECT)
        | _patch("Change a project", "ProjectChange")
        | _delete("Archive a project"),
        "/v1/keys": _get("List the keys of a project", OBJECT, [*listing, _query("project_id", text)])
        | _post("Make a key", "NewKey", OBJECT),
        "/v1/keys/{key_id}": of_key
        | _get("Show a key", OBJECT)
        | _patch("Change a key", "KeyChange")
        | _delete("Revoke a key"),
        "/v1/sessions": _get("List the sessions", OBJECT, listing) | _post("Begin a session", "NewSession", OBJECT),
        "/v1/sessions/{session_id}": of_session
        | _get("Show a session", OBJECT)
        | _delete("Leave nothing of a session"),
        "/v1/sessions/{session_id}/history": of_session | _get("What was said", OBJECT, listing),
        "/v1/sessions/{session_id}/fork": of_session
        | _post("Begin another session with this one's words", "Fork", OBJECT),
        "/v1/sessions/{session_id}/files": of_session | _get("The files of a session", OBJECT, listing),
        "/v1/sessions/{session_id}/files/{path}": of_file | _file("One of the files"),
        "/v1/files": _get("List the files", OBJECT, [_query("limit", limit), _query("page", text), ids])
        | _upload("Keep a file"),
        "/v1/files/{file_id}": of_upload | _get("Show a file", OBJECT) | _delete("Leave nothing of a file"),
        "/v1/files/{file_id}/content": of_upload | {"get": _file("The bytes of a file")["get"]},
        "/v1/files/uploads": _post("Where to send a large file", "NewUpload", OBJECT),
        "/v1/files/uploads/{file_id}/complete": of_upload | _command("Make a file of what was sent"),
        "/v1/audit": _get("List what administrators did", OBJECT, [_query("limit", limit)]),
        "/v1/models": _get("List the models", OBJECT, paging),
        "/v1/models/{model_id}": _get("Show a model", OBJECT, [model_id]),
        "/v1/config": _get("The settings, without secrets", OBJECT),
        "/v1/pool/stats": _get("The pool of CLI processes", OBJECT),
        "/health": _get("Whether the CLI runs", OBJECT),
    }
