"""Watches runs by what they log already: follows files as they grow, and sends what is new."""
