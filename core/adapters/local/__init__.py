"""The adapters on a directory of this machine."""
