"""A sample's way out of the job: ring, spool, collector; and what becomes of a dead process's remains."""
