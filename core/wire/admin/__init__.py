"""The bodies of pinnace's own endpoints: projects, keys, usage, routes."""
