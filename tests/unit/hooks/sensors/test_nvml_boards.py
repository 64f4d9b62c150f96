"""Which boards are this process's, and which part of each."""

from __future__ import annotations

import pytest

from trimtab.sensors import Probe
from trimtab.sensors.nvidia import nvml
from trimtab.testing_nvml import Board, Nvml, Slice


def probe(*boards: Board, visible: str | None = None) -> Probe:
    environ = {} if visible is None else {"CUDA_VISIBLE_DEVICES": visible}
    return nvml.probe(lambda: 1000.0, None, Nvml(list(boards)), environ)


@pytest.mark.parametrize(
    ("visible", "uuids"),
    [
        (None, ["GPU-a1", "GPU-b2", "GPU-c3"]),
        ("0,2", ["GPU-a1", "GPU-c3"]),
        ("GPU-c3, GPU-b", ["GPU-c3", "GPU-b2"]),
        ("1,-1,2", ["GPU-b2"]),
        ("1,9,2", ["GPU-b2"]),
        ("", []),
        ("NoDevFiles", []),
    ],
)
def test_the_boards_that_the_job_may_use_are_read(visible: str | None, uuids: list[str]) -> None:
    boards = Board("GPU-a1"), Board("GPU-b2"), Board("GPU-c3")
    assert [device.uuid for device in probe(*boards, visible=visible).devices] == uuids


def test_ranks_that_see_the_same_board_read_it_in_one_scope() -> None:
    boards = Board("GPU-a1"), Board("GPU-b2")
    one, other = probe(*boards, visible="0"), probe(*boards, visible="1,0")
    assert {sensor.scope for sensor in one.sensors} & {sensor.scope for sensor in other.sensors} == {
        "nvml-GPU-a1"
    }


def test_no_visible_board_is_said() -> None:
    found = probe(Board("GPU-a"), visible="")
    assert not found.found
    assert found.problem == "no board is visible to this process (CUDA_VISIBLE_DEVICES)"


# --- MIG ---

SLICES = (
    Slice("MIG-11111111-2222-3333-4444-555555555555", 3, gpu_instance=2),
    Slice("MIG-66666666-7777-8888-9999-aaaaaaaaaaaa", 2, gpu_instance=3, compute_instance=1),
    Slice("MIG-bbbbbbbb-cccc-dddd-eeee-ffffffffffff", 1, gpu_instance=5),
)


def cut(uuid: str = "GPU-af2c", slices: tuple[Slice, ...] = SLICES) -> Board:
    return Board(uuid, "NVIDIA A100-SXM4-40GB", slices=list(slices))


@pytest.mark.parametrize(
    ("visible", "held", "told"),
    [
        (SLICES[0].uuid, 3 / 7, "3 of 7"),
        (SLICES[1].uuid, 2 / 7, "2 of 7"),
        (f"{SLICES[0].uuid},{SLICES[2].uuid}", 4 / 7, "4 of 7"),
        (f"{SLICES[0].uuid},{SLICES[0].uuid}", 3 / 7, "3 of 7"),
        ("MIG-GPU-af2c/3/1", 2 / 7, "2 of 7"),
        ("0", 3 / 7, "3 of 7"),
        (None, 3 / 7, "3 of 7"),
    ],
)
def test_of_a_board_in_slices_the_part_that_is_this_jobs_is_told(
    visible: str | None, held: float, told: str
) -> None:
    """A peer strips characters off "MIG-GPU-af2c", finds no board of that name, and counts nothing."""
    (sensor,) = probe(cut(), visible=visible).sensors
    (reading,) = sensor.read()
    assert reading.device.uuid == "GPU-af2c"
    assert reading.device.name == f"NVIDIA A100-SXM4-40GB ({told} slices, by MIG)"
    assert reading.held_share == pytest.approx(held)
    assert reading.used_share is None
    assert (reading.energy_counter, reading.power_w) == (5_000_000, 612.0)


def test_slices_of_two_boards_are_told_each_of_its_own() -> None:
    other = Slice("MIG-00000000-0000-0000-0000-000000000000", 7)
    found = probe(cut(), cut("GPU-b", (other,)), visible=f"{other.uuid},{SLICES[2].uuid}")
    held = {reading.device.uuid: reading.held_share for sensor in found.sensors for reading in sensor.read()}
    assert held == {"GPU-b": 1.0, "GPU-af2c": pytest.approx(1 / 7)}


def test_ranks_on_different_slices_of_a_board_have_other_scopes() -> None:
    scopes = {probe(cut(), visible=slice_.uuid).sensor.scope for slice_ in SLICES}
    assert len(scopes) == 3


def test_a_board_of_whose_slices_none_is_told_is_left_out() -> None:
    found = probe(cut(slices=()))
    assert not found.found
    assert found.problem == (
        "NVIDIA A100-SXM4-40GB (GPU-af2c) is cut into MIG slices, of which none is told to be this job's"
    )


def test_a_slice_that_is_nowhere_is_no_board() -> None:
    assert not probe(cut(), visible="MIG-00000000-0000-0000-0000-000000000000").found
