"""The detectors over recorded runs: the same findings and incidents as a live run would have had."""
