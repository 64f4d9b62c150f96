"""Constructed cases with known truth, many seeds each."""
