"""Lines from bytes that come in any pieces."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from trimtab_monitor.tail.lines import MOST_OF_A_LINE, Lines


@given(st.lists(st.text("ab \r\nä∞", max_size=8), max_size=8), st.integers(1, 7))
def test_pieces_make_no_difference(texts: list[str], size: int) -> None:
    data = "".join(texts).encode()
    lines, whole = Lines(), Lines()
    pieces = [data[i : i + size] for i in range(0, len(data), size)]
    found = [line for piece in pieces for line in lines.feed(piece)] + lines.rest()
    assert found == whole.feed(data) + whole.rest()


def test_a_line_without_its_end_waits() -> None:
    lines = Lines()
    assert lines.feed(b'{"step": 1}\n{"st') == [(1, '{"step": 1}')]
    assert lines.feed(b'ep": 2') == []
    assert lines.feed(b"}\n") == [(2, '{"step": 2}')]
    assert lines.rest() == []


def test_a_bar_that_is_drawn_again_is_a_line_each_time() -> None:
    assert Lines().feed(b"\r 1/3\r 2/3\r 3/3\n") == [(2, " 1/3"), (3, " 2/3"), (4, " 3/3")]


def test_rubbish_is_text_too_and_one_without_end_is_left_out() -> None:
    lines = Lines()
    assert lines.feed(b"\xff\xfe\x00\n")[0][1] == "\ufffd\ufffd\x00"
    for _ in range(3):
        assert lines.feed(b"\x00" * MOST_OF_A_LINE) == []
    assert lines.feed(b"tail of it\nstep 1\n") == [(3, "step 1")]


def test_the_mark_of_the_byte_order_is_no_text() -> None:
    assert Lines().feed("\ufeffstep,loss\n".encode()) == [(1, "step,loss")]
