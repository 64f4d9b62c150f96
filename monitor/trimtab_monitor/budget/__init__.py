"""Budgets of runs and projects: what is spent of each, who is told at 80 and at 100 %, and the stop there."""
