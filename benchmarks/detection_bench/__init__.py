"""Scores detectors of training instability on labelled curves and on constructed cases."""
