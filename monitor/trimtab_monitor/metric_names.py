"""The names under which Prometheus knows us: one constant each, for `/metrics`, dashboards and alert rules.

Every name has the prefix `trimtab_`, base units, and says with its end what it is (`_total` counts,
`_seconds`, `_joules`, `_watts`, `_timestamp_seconds`). A step is a value, never a label. A change of a name
or a label breaks other people's dashboards: say so in the change log.
"""

from __future__ import annotations

from typing import Final

# One run, each with the label `run`.
RUN_INFO: Final = "trimtab_run_info"
"""1; labels project, name, phase, mode (off, advise, auto)."""
RUN_STATUS: Final = "trimtab_run_status"
"""1 for the status that the run has, 0 for the others; label status (running, hung, finished, failed)."""
RUN_STEP: Final = "trimtab_run_step"
RUN_STEPS_PLANNED: Final = "trimtab_run_steps_planned"
RUN_ATTEMPT: Final = "trimtab_run_attempt"
RUN_LOSS: Final = "trimtab_run_loss"
RUN_LOSS_MEAN: Final = "trimtab_run_loss_mean"
RUN_LOSS_MIN: Final = "trimtab_run_loss_min"
RUN_LOSS_MAX: Final = "trimtab_run_loss_max"
RUN_EVAL_LOSS: Final = "trimtab_run_eval_loss"
RUN_GRAD_NORM: Final = "trimtab_run_grad_norm"
RUN_LEARNING_RATE: Final = "trimtab_run_learning_rate"
RUN_STEP_SECONDS: Final = "trimtab_run_step_seconds"
RUN_TOKENS_PER_SECOND: Final = "trimtab_run_tokens_per_second"
RUN_POWER_WATTS: Final = "trimtab_run_power_watts"
"""Label component (gpu, package, dram, module, host): the sum over the run's devices, as last read."""
RUN_ENERGY_JOULES: Final = "trimtab_run_energy_joules_total"
"""Labels component and method: IT energy so far."""
RUN_ENERGY_GAP_SECONDS: Final = "trimtab_run_energy_gap_seconds_total"
"""Labels component and method: device seconds of which nothing is known."""
RUN_LOST_STEPS: Final = "trimtab_run_lost_steps_total"
RUN_LOST_SECONDS: Final = "trimtab_run_lost_seconds_total"
RUN_ROLLBACKS: Final = "trimtab_run_rollbacks_total"
RUN_INCIDENTS_OPEN: Final = "trimtab_run_incidents_open"
"""Label severity (info, warning, critical)."""
RUN_INCIDENTS: Final = "trimtab_run_incidents_total"
"""Label severity (info, warning, critical): all so far, open and resolved."""
RUN_LAST_SAMPLE: Final = "trimtab_run_last_sample_timestamp_seconds"
RUN_LAST_HEARD: Final = "trimtab_run_last_heard_timestamp_seconds"
RUN_SAMPLES_DROPPED: Final = "trimtab_run_samples_dropped_total"
RUN_HOOK_ERRORS: Final = "trimtab_run_hook_errors_total"
RUN_FOLD_ERRORS: Final = "trimtab_run_fold_errors_total"
RUN_METRICS_LEFT_OUT: Final = "trimtab_run_metrics_left_out"
RUN_UNREADABLE_EVENTS: Final = "trimtab_run_unreadable_events_total"

# The collector itself.
INGEST_BATCHES: Final = "trimtab_ingest_batches_total"
"""Label result (stored, duplicate, refused, unavailable)."""
INGEST_SAMPLES: Final = "trimtab_ingest_samples_total"
INGEST_BYTES: Final = "trimtab_ingest_bytes_total"
LOG_POSITION: Final = "trimtab_log_position"
FOLD_POSITION: Final = "trimtab_fold_position"
FOLD_ERRORS: Final = "trimtab_fold_errors_total"
STORE_READY: Final = "trimtab_store_ready"
OUTBOX_DEPTH: Final = "trimtab_outbox_deliveries"
OUTBOX_OLDEST_SECONDS: Final = "trimtab_outbox_oldest_seconds"
ALERT_SENDS: Final = "trimtab_alert_sends_total"
"""Labels destination and result (sent, retried, dead)."""
STREAM_CLIENTS: Final = "trimtab_stream_clients"
STREAM_CLIENTS_DROPPED: Final = "trimtab_stream_clients_dropped_total"
