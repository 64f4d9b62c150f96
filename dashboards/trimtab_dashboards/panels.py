"""The kinds of panel that our dashboards use, with one look: what each shows, in which unit, named how."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Protocol, Self, TypeVar

from grafana_foundation_sdk.builders import common as common_builders
from grafana_foundation_sdk.builders import dashboard as dashboard_builders
from grafana_foundation_sdk.builders import prometheus, stat, statetimeline, table, timeseries
from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.models import common, dashboard
from grafana_foundation_sdk.models.prometheus import PromQueryFormat

DATA_SOURCE: Final = common.DataSourceRef(type_val="prometheus", uid="${datasource}")


@dataclass(frozen=True, slots=True)
class Query:
    """A PromQL expression and how its series are named."""

    expr: str
    legend: str


@dataclass(frozen=True, slots=True)
class Text:
    """What a panel is called, what it tells, and its place on the grid: width of 24, height in rows."""

    title: str
    description: str
    width: int
    height: int


class _Panel(Protocol):
    """What the panels of the SDK have in common."""

    def title(self, title: str) -> Self: ...

    def description(self, description: str) -> Self: ...

    def datasource(self, datasource: common.DataSourceRef) -> Self: ...

    def span(self, w: int) -> Self: ...

    def height(self, h: int) -> Self: ...


P = TypeVar("P", bound=_Panel)


def over_time(
    text: Text, queries: Sequence[Query], unit: str, *, log: bool = False
) -> Builder[dashboard.Panel]:
    """Lines over time, with their last value and extremes in the legend."""
    legend = (
        common_builders.VizLegendOptions()
        .show_legend(True)
        .display_mode(common.LegendDisplayMode.TABLE)
        .placement(common.LegendPlacement.BOTTOM)
        .calcs(["lastNotNull", "min", "max"])
    )
    tooltip = common_builders.VizTooltipOptions().mode(common.TooltipDisplayMode.MULTI)
    panel = _common(timeseries.Panel(), text).unit(unit).legend(legend).tooltip(tooltip)
    panel = panel.line_width(1).fill_opacity(0).show_points(common.VisibilityMode.AUTO)
    if log:
        scale = common_builders.ScaleDistributionConfig().type(common.ScaleDistribution.LOG).log(10)
        panel = panel.scale_distribution(scale)
    return panel.targets([_query(query, i).range() for i, query in enumerate(queries)])


def now(
    text: Text,
    queries: Sequence[Query],
    unit: str,
    *,
    names: bool = False,
    thresholds: Sequence[dashboard.Threshold] = (),
) -> Builder[dashboard.Panel]:
    """The last value in large type, or with `names` the series' name."""
    mode = common.BigValueTextMode.NAME if names else common.BigValueTextMode.AUTO
    panel = _common(stat.Panel(), text).unit(unit).text_mode(mode).graph_mode(common.BigValueGraphMode.NONE)
    panel = panel.reduce_options(common_builders.ReduceDataOptions().calcs(["lastNotNull"]).values(False))
    panel = panel.color_mode(common.BigValueColorMode.VALUE if thresholds else common.BigValueColorMode.NONE)
    if thresholds:
        config = dashboard_builders.ThresholdsConfig().mode(dashboard.ThresholdsMode.ABSOLUTE)
        panel = panel.thresholds(config.steps(list(thresholds)))
    return panel.targets([_query(query, i).instant() for i, query in enumerate(queries)])


def states(text: Text, queries: Sequence[Query], colours: dict[str, str]) -> Builder[dashboard.Panel]:
    """One bar a series while it is there, in the series' own colour."""
    panel = _common(statetimeline.Panel(), text).show_value(common.VisibilityMode.NEVER).merge_values(True)
    panel = panel.legend(common_builders.VizLegendOptions().show_legend(False))
    for name, colour in colours.items():
        fixed = {"mode": "fixed", "fixedColor": colour}
        panel = panel.override_by_name(name, [dashboard.DynamicConfigValue(id_val="color", value=fixed)])
    return panel.targets([_query(query, i).range() for i, query in enumerate(queries)])


def as_table(text: Text, queries: Sequence[Query], columns: dict[str, str]) -> Builder[dashboard.Panel]:
    """The labels and values of several queries, merged; `columns` names what is shown, in its order."""
    hidden = {"Time": True, "__name__": True, "instance": True, "job": True, "run": True}
    organize = {
        "excludeByName": hidden,
        "indexByName": {name: i for i, name in enumerate(columns)},
        "renameByName": columns,
    }
    panel = _common(table.Panel(), text)
    panel = panel.with_transformation(dashboard.DataTransformerConfig(id_val="merge", options={}))
    panel = panel.with_transformation(dashboard.DataTransformerConfig(id_val="organize", options=organize))
    return panel.targets(
        [_query(query, i).instant().format(PromQueryFormat.TABLE) for i, query in enumerate(queries)]
    )


def _common(panel: P, text: Text) -> P:
    panel = panel.title(text.title).description(text.description).datasource(DATA_SOURCE)
    return panel.span(text.width).height(text.height)


def _query(query: Query, index: int) -> prometheus.Dataquery:
    target = prometheus.Dataquery().expr(query.expr).legend_format(query.legend)
    return target.ref_id("ABCDEFGH"[index]).datasource(DATA_SOURCE)
