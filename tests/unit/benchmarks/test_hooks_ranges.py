"""Tables of several runs of the hooks' benchmark."""

from __future__ import annotations

from pathlib import Path

import pytest

from hooks_bench.ranges import RunsError, markdown, read_lines, span


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ([], ""),
        ([1.234, 1.2], "1.2"),
        ([1.24, 2.5, 0.311], "0.31 to 2.5"),
        ([12.34, 1234.5], "12.3 to 1,234"),
        ([1000, 1000], "1,000"),
    ],
)
def test_a_span_goes_from_the_lowest_to_the_highest(values: list[float], says: str) -> None:
    assert span(values) == says


def test_lines_of_several_runs_become_one_table_with_spans() -> None:
    line = {"benchmark": "hooks kill", "client": "trackio", "steps": 1000}

    table = markdown(
        [
            line | {"pace": "asleep", "survived": 640},
            line | {"pace": "busy", "survived": 0},
            line | {"pace": "asleep", "survived": 705},
            {"benchmark": "hooks kill", "client": "aim", "steps": 1000, "pace": "busy", "absent": "not here"},
        ]
    )

    assert table.splitlines()[2:] == [
        "| client | interpreter idle | interpreter busy | of |",
        "| --- | --- | --- | --- |",
        "| trackio | 640 to 705 | 0 | 1,000 |",
        "| aim |  |  | 1,000 |",
    ]


def test_an_interval_spans_those_of_all_runs() -> None:
    line = {"benchmark": "hooks throughput", "watched": "default"}

    table = markdown([line | {"slower_percent_95": [-0.1, 0.3]}, line | {"slower_percent_95": [0.1, 0.4]}])

    assert "| default |  | -0.1 to 0.4 |" in table


@pytest.mark.parametrize("text", ["nonsense", "[1]", '{"client": "trackio"}'])
def test_a_line_that_is_none_of_ours_is_told_with_its_place(tmp_path: Path, text: str) -> None:
    path = tmp_path / "run.jsonl"
    path.write_text('{"benchmark": "hooks kill"}\n' + text)

    with pytest.raises(RunsError, match=r"run\.jsonl:2: is no line of this benchmark; remove it"):
        read_lines([path])


def test_a_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(RunsError, match=r"gone\.jsonl: No such file.*; give files of JSON lines"):
        read_lines([tmp_path / "gone.jsonl"])
