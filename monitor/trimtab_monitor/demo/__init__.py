"""The main job, end to end: a real training run goes wrong, is noticed, rolled back, and recovers."""
