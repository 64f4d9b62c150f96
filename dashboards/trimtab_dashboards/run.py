"""The dashboard of one run: is it well, what does it cost, what went wrong.

Needs grafana-foundation-sdk, which nothing else does: the JSON that it builds is committed, and that is what
Grafana is given.
"""

from __future__ import annotations

from typing import Final

from grafana_foundation_sdk.builders import dashboard as builders
from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.models import dashboard, units

from trimtab_dashboards.panels import DATA_SOURCE, Query, Text, as_table, now, over_time, states
from trimtab_monitor import metric_names as names

UID: Final = "trimtab-run"
STATUS_COLOURS: Final = {"running": "green", "hung": "orange", "failed": "red", "finished": "blue"}
SEVERITY_COLOURS: Final = {"critical": "red", "warning": "orange"}

Panels = list[Builder[dashboard.Panel]]


def build() -> dashboard.Dashboard:
    """The dashboard, whole."""
    built = (
        builders.Dashboard("Trimtab run")
        .uid(UID)
        .description("One training run: loss, gradients, power, energy and incidents.")
        .tags(["trimtab"])
        .timezone("browser")
        .time("now-6h", "now")
        .refresh("30s")
        .tooltip(dashboard.DashboardCursorSync.CROSSHAIR)
        .variables([_data_source(), _run()])
        .annotation(_incidents_mark())
    )
    for panel in [*_now(), *_training(), *_incidents(), *_energy()]:
        built = built.with_panel(panel)
    whole = built.build()
    for number, each in enumerate(whole.panels or [], start=1):
        each.id_val = number
    return whole


def of_run(metric: str, *matchers: str) -> str:
    """The selector of a metric of the chosen run."""
    return metric + "{" + ", ".join(['run="$run"', *matchers]) + "}"


def _data_source() -> builders.DatasourceVariable:
    return builders.DatasourceVariable("datasource").label("Data source").type("prometheus")


def _run() -> builders.QueryVariable:
    query = f"label_values({names.RUN_INFO}, run)"
    return (
        builders.QueryVariable("run")
        .label("Run")
        .datasource(DATA_SOURCE)
        .query({"qryType": 1, "query": query, "refId": "PrometheusVariableQueryEditor-VariableQuery"})
        .definition(query)
        .refresh(dashboard.VariableRefresh.ON_TIME_RANGE_CHANGED)
        .sort(dashboard.VariableSort.NATURAL_DESC)
    )


def _incidents_mark() -> builders.AnnotationQuery:
    opened = of_run(names.RUN_INCIDENTS_OPEN, 'severity=~"warning|critical"')
    return (
        builders.AnnotationQuery()
        .name("Incidents")
        .datasource(DATA_SOURCE)
        .enable(True)
        .icon_color("red")
        .expr(f"{opened} > 0")
        .title_format("{{severity}} incident")
    )


def _now() -> Panels:
    open_now = of_run(names.RUN_INCIDENTS_OPEN, 'severity=~"warning|critical"')
    well_or_not = [
        dashboard.Threshold(value=None, color="green"),
        dashboard.Threshold(value=1, color="red"),
    ]
    return [
        now(
            Text("Status", "running, hung (no step for far too long), finished or failed.", 4, 4),
            [Query(f"{of_run(names.RUN_STATUS)} == 1", "{{status}}")],
            units.NoUnit,
            names=True,
        ),
        now(
            Text("Step", "The last step recorded, and the steps planned where the job said how many.", 5, 4),
            [
                Query(of_run(names.RUN_STEP), "done"),
                Query(of_run(names.RUN_STEPS_PLANNED), "planned"),
            ],
            units.NoUnit,
        ),
        now(
            Text("Open incidents", "Incidents that are not over, without those of severity info.", 3, 4),
            [Query(f"sum({open_now})", "open")],
            units.NoUnit,
            thresholds=well_or_not,
        ),
        now(
            Text(
                "Rolled back",
                "How often the run went back to an earlier step, and the steps lost by it.",
                4,
                4,
            ),
            [
                Query(of_run(names.RUN_ROLLBACKS), "times"),
                Query(of_run(names.RUN_LOST_STEPS), "steps lost"),
            ],
            units.NoUnit,
        ),
        now(
            Text("Tokens per second", "Throughput of the whole run, where the job says its tokens.", 4, 4),
            [Query(of_run(names.RUN_TOKENS_PER_SECOND), "tokens/s")],
            units.Short,
        ),
        now(
            Text(
                "IT energy",
                "Energy of the run's devices so far; a whole-node meter counts if nothing else.",
                4,
                4,
            ),
            [Query(_it_energy(), "energy")],
            units.Joule,
        ),
    ]


def _training() -> Panels:
    return [
        over_time(
            Text(
                "Loss",
                "Training loss, and evaluation loss where there is one. A gap is a non-finite value.",
                12,
                9,
            ),
            [Query(of_run(names.RUN_LOSS), "loss"), Query(of_run(names.RUN_EVAL_LOSS), "eval loss")],
            units.NoUnit,
        ),
        over_time(
            Text("Gradient norm", "The norm of all gradients before clipping, on a logarithmic axis.", 12, 9),
            [Query(of_run(names.RUN_GRAD_NORM), "gradient norm")],
            units.NoUnit,
            log=True,
        ),
        over_time(
            Text("Step time", "Seconds from one step to the next.", 12, 7),
            [Query(of_run(names.RUN_STEP_SECONDS), "step time")],
            units.Seconds,
        ),
        over_time(
            Text("Learning rate", "The rate of the first parameter group.", 12, 7),
            [Query(of_run(names.RUN_LEARNING_RATE), "learning rate")],
            units.NoUnit,
        ),
    ]


def _incidents() -> Panels:
    open_now = of_run(names.RUN_INCIDENTS_OPEN, 'severity=~"warning|critical"')
    return [
        states(
            Text("Status over time", "When the run was running, hung, finished or failed.", 12, 6),
            [Query(f"{of_run(names.RUN_STATUS)} == 1", "{{status}}")],
            STATUS_COLOURS,
        ),
        states(
            Text("Incidents over time", "When an incident was open, by severity.", 8, 6),
            [Query(f"{open_now} > 0", "{{severity}}")],
            SEVERITY_COLOURS,
        ),
        as_table(
            Text("Incidents", "How many of each severity: open, and all so far.", 4, 6),
            [
                Query(of_run(names.RUN_INCIDENTS_OPEN), "open"),
                Query(of_run(names.RUN_INCIDENTS), "all"),
            ],
            {"severity": "Severity", "Value #A": "Open", "Value #B": "All"},
        ),
    ]


def _energy() -> Panels:
    by_kind = "{{component}}, {{method}}"
    return [
        over_time(
            Text(
                "Power",
                "Power of the run's devices by component, as last read. A host covers its parts.",
                12,
                8,
            ),
            [Query(of_run(names.RUN_POWER_WATTS), "{{component}}")],
            units.Watt,
        ),
        over_time(
            Text("Energy", "IT energy so far, by component and by how it was measured.", 12, 8),
            [Query(of_run(names.RUN_ENERGY_JOULES), by_kind)],
            units.Joule,
        ),
        over_time(
            Text("Energy not known", "Device seconds whose energy no sensor told: it is in no sum.", 8, 7),
            [Query(of_run(names.RUN_ENERGY_GAP_SECONDS), by_kind)],
            units.Seconds,
        ),
        over_time(
            Text("Lost energy", "IT energy of work that was thrown away: rollbacks, restarts, hangs.", 8, 7),
            [Query(of_run(names.RUN_LOST_JOULES), "lost")],
            units.Joule,
        ),
        over_time(
            Text("Budgets", "What of each budget is used at most; at 100 % it is spent.", 8, 7),
            [Query(of_run(names.RUN_BUDGET_RATIO), "{{budget}}")],
            units.PercentUnit,
        ),
        over_time(
            Text(
                "Emissions",
                "CO2e so far, by the grid's average and by contract, with the factors that are set.",
                12,
                7,
            ),
            [Query(of_run(names.RUN_EMISSIONS_GRAMS), "{{accounting}}")],
            units.Gram,
        ),
        over_time(
            Text("Cost", "What the run has cost so far, with the prices that are set.", 12, 7),
            [Query(of_run(names.RUN_COST), "{{currency}}")],
            units.NoUnit,
        ),
    ]


def _it_energy() -> str:
    """Energy without double counting: a whole node's meter covers its parts, a model of the host does not."""
    every = of_run(names.RUN_ENERGY_JOULES)
    node_meters = of_run(names.RUN_ENERGY_JOULES, 'component="host"', 'method!~"model|constant"')
    return f"sum({every} unless {node_meters}) or sum({every})"
