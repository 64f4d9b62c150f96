"""Hardware by the names that people and drivers use."""

from __future__ import annotations

import pytest

from trimtab_monitor.estimate.hardware import HardwareError, find_hardware, hardware_table


@pytest.mark.parametrize(
    ("said", "name", "watts"),
    [
        ("h100", "H100-SXM5-80GB", 700),
        ("NVIDIA H100 80GB HBM3", "H100-SXM5-80GB", 700),
        ("NVIDIA H100 PCIe", "H100-PCIe-80GB", 350),
        ("NVIDIA H100 NVL", "H100-NVL-94GB", 400),
        ("H100 SXM", "H100-SXM5-80GB", 700),
        ("h200", "H200-SXM5-141GB", 700),
        ("A100-80GB", "A100-SXM4-80GB", 400),
        ("NVIDIA A100-SXM4-40GB", "A100-SXM4-40GB", 400),
        ("NVIDIA A100 80GB PCIe", "A100-PCIe-80GB", 300),
        ("NVIDIA A100-PCIE-40GB", "A100-PCIe-40GB", 250),
        ("Tesla V100-SXM2-32GB", "V100-SXM2-32GB", 300),
        ("Tesla V100-SXM3-32GB", "V100-SXM3-32GB", 350),
        ("tesla t4", "T4", 70),
        ("Tesla K80", "K80", 300),
        ("NVIDIA A10G", "A10G", 300),
        ("A10", "A10", 150),
        ("L40S", "L40S", 350),
        ("NVIDIA GH200 480GB", "GH200", 1000),
        ("NVIDIA GeForce RTX 3090", "RTX 3090", 350),
        ("rtx3090ti", "RTX 3090 Ti", 450),
        ("4090", "RTX 4090", 450),
        ("RTX 4070 Ti SUPER", "RTX 4070 Ti SUPER", 285),
        ("NVIDIA GeForce RTX 2080 SUPER", "RTX 2080 SUPER", 250),
        ("NVIDIA GeForce GTX 1660 Ti", "GTX 1660 Ti", 120),
        ("NVIDIA TITAN X (Pascal)", "TITAN X", 250),
        ("NVIDIA TITAN Xp", "TITAN Xp", 250),
        ("NVIDIA B300 SXM6 AC", "B300", 1400),
        ("NVIDIA RTX 4000 SFF Ada Generation", "RTX 4000 SFF Ada", 70),
        ("NVIDIA RTX 4000 Ada Generation", "RTX 4000 Ada", 130),
        ("NVIDIA RTX PRO 4500 Blackwell", "RTX PRO 4500 Blackwell", 200),
        ("NVIDIA RTX A6000", "RTX A6000", 300),
        ("NVIDIA RTX 6000 Ada Generation", "RTX 6000 Ada", 300),
        ("NVIDIA RTX PRO 6000 Blackwell Server Edition", "RTX PRO 6000 Blackwell", 600),
        ("NVIDIA RTX PRO 6000 Blackwell Max-Q Workstation Edition", "RTX PRO 6000 Blackwell Max-Q", 300),
        ("Intel(R) Data Center GPU Max 1550", "Data Center GPU Max 1550", 600),
        ("NVIDIA GH200 144G HBM3e", "GH200", 1000),
        ("AMD Radeon RX 7900 XTX", "RX 7900 XTX", 355),
        ("7900XT", "RX 7900 XT", 315),
        ("AMD Instinct MI300X VF", "MI300X", 750),
        ("AMD Instinct MI300X OAM", "MI300X", 750),
        ("mi-250x", "MI250X", 560),
        ("AMD Instinct MI250X/MI250", "MI250X", 560),
        ("Gaudi 2", "Gaudi 2", 600),
        ("HL-325L", "Gaudi 3 OAM", 900),
        ("TPUv4", "TPU v4", 192),
        ("tpu-v3", "TPU v3", 450),
        ("Apple M2 Ultra", "Mac Studio M2 Ultra", 295),
    ],
)
def test_names_are_read_as_they_are_written(said: str, name: str, watts: float) -> None:
    hardware = find_hardware(said).hardware
    assert (hardware.name, hardware.watts) == (name, watts)


def test_a_name_without_its_form_takes_the_one_that_draws_most_and_tells_the_others() -> None:
    others = {each.name for each in find_hardware("A100-80GB").others}
    assert others == {"A100-PCIe-80GB"}
    assert find_hardware("A100 SXM").others == ()


def test_every_device_is_found_by_its_own_name() -> None:
    assert all(find_hardware(each.name).hardware is each for each in hardware_table())


def test_every_device_says_where_its_power_is_from() -> None:
    assert all(each.source and 30 < each.watts < 1_500 for each in hardware_table())
    assert {each.covers for each in hardware_table()} == {"board", "module", "superchip", "chip", "machine"}


@pytest.mark.parametrize(
    ("said", "near"),
    [
        ("RTX 6000", "Quadro RTX 6000, RTX 6000 Ada, RTX PRO 6000 Blackwell"),
        ("mi300", "MI300"),
        ("RTX 4090 Laptop", "RTX 4090"),
        ("h10O", "H100"),
        ("Max", "Data Center GPU Max 1100"),
    ],
)
def test_what_is_unknown_or_several_products_is_refused_with_what_is_near(said: str, near: str) -> None:
    with pytest.raises(HardwareError, match=f"device '{said}' is not in the table .*{near}.*--watts"):
        find_hardware(said)


@pytest.mark.parametrize("said", ["", "  ", "nvidia gpu", "\x00", "🙂"])
def test_what_names_nothing_is_refused(said: str) -> None:
    with pytest.raises(HardwareError, match="not in the table; or give --watts"):
        find_hardware(said)
