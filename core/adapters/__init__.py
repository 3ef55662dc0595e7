"""Knows that adapters are imported one by one, by `pinnace.core.wiring` alone; it must not import any."""
