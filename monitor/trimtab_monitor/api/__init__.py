"""HTTP: one file for each thing that is asked for, and how problems are told."""
