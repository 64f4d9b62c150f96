"""One metric over steps, in few points, straight from the log."""
