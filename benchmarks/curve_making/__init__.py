"""Trains the demo GPT under injected instabilities, and labels each curve by what was injected."""
