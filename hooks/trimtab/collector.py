"""Where the collector of a job is: named by the settings, or embedded in their folder."""

from __future__ import annotations

import logging
import os

from trimtab import embedded
from trimtab.job_settings import JobSettings
from trimtab.outbound.transport import HttpTransport

LOG = logging.getLogger("trimtab")


def transport_to(settings: JobSettings) -> HttpTransport:
    """Return the way to the collector; an embedded one that is gone is started again when it is needed."""
    url = settings.url
    if url is not None:
        return HttpTransport(lambda: url)
    folder = settings.data_folder(os.environ)
    return HttpTransport(lambda: embedded.start_or_join(folder))


def page_of(run: str, settings: JobSettings) -> str:
    """Return the run's page, as far as it is known before the collector has answered."""
    try:
        base = settings.url or embedded.start_or_join(settings.data_folder(os.environ))
    except OSError as error:
        LOG.warning("trimtab: there is no collector yet: %s", error)
        return ""
    return f"{base}/?run={run}"
