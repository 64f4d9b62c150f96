"""Every setting of the collector, in one model; each part's settings stand beside that part.

A value comes from a flag, else the environment (`TRIMTAB_SERVER__PORT=9000`), else `trimtab.toml`
(`[server]`, `port = 9000`), else the default here. `trimtab_monitor.settings_load` puts them together.
"""

from __future__ import annotations

from typing import Final

from pydantic import BaseModel, ConfigDict, Field
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from trimtab_alerts.settings import AlertSettings
from trimtab_monitor.budget.settings import BudgetSettings
from trimtab_monitor.detectors import DetectorSettings
from trimtab_monitor.forecast.settings import ForecastSettings
from trimtab_monitor.incidents import IncidentSettings
from trimtab_monitor.liveness import LivenessSettings
from trimtab_monitor.pricing.settings import EnergySettings
from trimtab_monitor.rollback import RollbackSettings

ENV_PREFIX: Final = "TRIMTAB_"
ENV_DELIMITER: Final = "__"

MEBIBYTE: Final = 1024 * 1024


class ServerSettings(BaseModel):
    """How the collector is reached, and how much it takes at once."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    host: str = Field(
        default="127.0.0.1",
        min_length=1,
        description="The address to listen on. Beyond loopback anybody who can reach it can read and write.",
    )
    port: int = Field(
        default=8787, ge=0, le=65_535, description="The TCP port to listen on; 0: any free one."
    )
    public_url: str | None = Field(
        default=None,
        pattern=r"^https?://[^/]",
        description="The URL under which people reach the collector; none: the one that they asked.",
    )
    max_body_bytes: int = Field(
        default=16 * MEBIBYTE, gt=0, description="The largest request body that is taken, in bytes."
    )
    max_inflight_bytes: int = Field(
        default=256 * MEBIBYTE,
        gt=0,
        description="How many bytes of batches may wait to be stored at a time, over all runs.",
    )
    max_backlog_batches: int = Field(
        default=20_000,
        gt=0,
        description="How many batches of one run may be stored and not yet judged; beyond, it must wait.",
    )
    ack_wait_s: float = Field(
        default=0.1,
        ge=0,
        description="How long the answer to a batch waits for the commands that it caused, in seconds.",
    )
    stream_queue: int = Field(
        default=256,
        gt=0,
        description="How many events may wait for a client of the stream; then it is dropped.",
    )
    metrics_window_s: float = Field(
        default=86_400.0,
        gt=0,
        description="For how long after its last batch a run is on /metrics, in seconds.",
    )
    idle_exit_s: float = Field(
        default=900.0, gt=0, description="When an embedded collector with nothing to do ends, in seconds."
    )


class StorageSettings(BaseModel):
    """What is kept, and how often it is written."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    max_bytes: int | None = Field(
        default=None,
        ge=MEBIBYTE,
        description="The database grows to at most so many bytes, then batches are refused; none: no limit.",
    )
    snapshot_every_s: float = Field(
        default=1.0, gt=0, description="How much of the log a restart has to fold again at most, in seconds."
    )
    keep_ticks_s: float = Field(
        default=3600.0, gt=0, description="For how long the log keeps ticks of the clock, in seconds."
    )
    series_cache_bytes: int = Field(
        default=256 * MEBIBYTE, gt=0, description="How much memory the columns of charts may take, in bytes."
    )


class Settings(BaseSettings):
    """All settings."""

    model_config = SettingsConfigDict(
        frozen=True, extra="forbid", env_prefix=ENV_PREFIX, env_nested_delimiter=ENV_DELIMITER
    )

    server: ServerSettings = Field(default=ServerSettings(), description="How the collector is reached.")
    storage: StorageSettings = Field(default=StorageSettings(), description="What is kept.")
    detectors: DetectorSettings = Field(
        default=DetectorSettings(), description="What is out of the ordinary."
    )
    incidents: IncidentSettings = Field(default=IncidentSettings(), description="When an incident is over.")
    rollback: RollbackSettings = Field(
        default=RollbackSettings(), description="When and to where to go back."
    )
    liveness: LivenessSettings = Field(
        default=LivenessSettings(), description="When a run is hung or failed."
    )
    energy: EnergySettings = Field(default=EnergySettings(), description="What energy costs.")
    budget: BudgetSettings = Field(default=BudgetSettings(), description="What runs may use.")
    forecast: ForecastSettings = Field(
        default=ForecastSettings(), description="What a forecast of the loss is held against."
    )
    alerts: AlertSettings = Field(default=AlertSettings(), description="Who is told, and how.")

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Take what is given and nothing else: `settings_load` looks at the environment and the file."""
        del settings_cls, env_settings, dotenv_settings, file_secret_settings
        return (init_settings,)
