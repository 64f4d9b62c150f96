"""When to page, whom, through what: alerts, the outbox, its dispatcher and the notifiers."""
