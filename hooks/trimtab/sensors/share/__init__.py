"""What part of a host's CPUs is this run's, and which processes are."""
