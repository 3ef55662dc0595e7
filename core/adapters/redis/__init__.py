"""Knows how limits and answers are kept in Redis, for several servers; nothing else in pinnace imports redis."""
