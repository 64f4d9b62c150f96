"""The way into the log: over HTTP, and from what dead processes left behind."""
