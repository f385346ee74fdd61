"""A tracker plugin for advdl that writes to SQLite."""
