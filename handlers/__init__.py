"""Knows the endpoints, one module a noun: parse, call one use case, render; it must not know an adapter."""
