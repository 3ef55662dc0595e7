"""Knows the shapes that clients see, one package per dialect; it must not know sockets, processes or stores."""
