"""What the devices of a run tell, each by method, less what other runs used of them.

`streams` and `divisions` are by device, as the ledger has them; `covers` is what holds others' energy.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from trimtab_monitor.ledger.division import Division
from trimtab_monitor.ledger.reading import is_node_meter
from trimtab_monitor.ledger.rows import Row, joined, own_part
from trimtab_monitor.ledger.scope import Covers
from trimtab_monitor.ledger.silence import longest_read
from trimtab_monitor.ledger.stream import Stream
from trimtab_monitor.ledger.tally import Tally


def rows_of(streams: Mapping[str, Stream], divisions: Mapping[str, Division], covers: Covers) -> list[Row]:
    """Energy by device and method; lives of a device on different boots of its host are joined."""
    has_meters_only = not has_parts(streams.values())
    return joined(
        _row(stream, divisions[key], method, tally, _is_summed(stream, method, covers, has_meters_only))
        for key, stream, told in _told(streams)
        for method, tally in told.items()
    )


def held_us(streams: Mapping[str, Stream], divisions: Mapping[str, Division], covers: Covers) -> int:
    """How long the run held GPUs and modules, measured or not: its part of shared ones."""
    sum_us = 0
    for key, stream, told in _told(streams):
        if stream.component == "module" or (
            stream.component == "gpu" and stream.boot_id not in covers.modules
        ):
            known_us = sum(tally.measured_us + tally.gap_us for tally in told.values())
            sum_us += max(0, known_us - divisions[key].others_us)
    return sum_us


def has_parts(streams: Iterable[Stream]) -> bool:
    """Whether a part of a node was measured: then meters of whole nodes are in no sum."""
    return any(not is_node_meter(stream.component, method) for stream in streams for method in stream.tallies)


def _row(stream: Stream, division: Division, method: str, tally: Tally, summed: bool) -> Row:
    others_uj = division.others_uj.get(method, 0)
    return Row(
        host=stream.host,
        device=stream.uuid,
        name=stream.name,
        component=stream.component,
        method=method,
        summed=summed,
        tally=own_part(tally, others_uj),
        others_uj=others_uj,
        shared=division.is_shared,
    )


def _told(streams: Mapping[str, Stream]) -> Iterator[tuple[str, Stream, dict[str, Tally]]]:
    hosts = longest_read(streams.values())
    for key, stream in streams.items():
        yield key, stream, stream.told(hosts[stream.boot_id])


def _is_summed(stream: Stream, method: str, covers: Covers, has_meters_only: bool) -> bool:
    if covers.covered(stream.boot_id, stream.component, method):
        return False
    return has_meters_only or not is_node_meter(stream.component, method)
