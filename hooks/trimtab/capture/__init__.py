"""The values of one step: what the loop gives, and what the optimizer knows."""
