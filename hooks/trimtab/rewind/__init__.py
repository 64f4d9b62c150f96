"""Snapshots of the training state, and the commands that go back to them."""
