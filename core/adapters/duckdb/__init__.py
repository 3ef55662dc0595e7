"""The log of requests: lines of JSON in files, which need no library to be written, and DuckDB to ask questions about them."""
