"""The reference semantics of the stores, in the memory of one process: what another adapter does differently is a mistake."""
