"""What is still to come of a run: energy, emissions, cost and time to its end, and its loss there."""
