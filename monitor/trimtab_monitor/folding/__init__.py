"""What the log means: the fold, the state that it makes, and the thread that does it."""
