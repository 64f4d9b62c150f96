"""What Prometheus is told: of runs, and of the collector itself."""
