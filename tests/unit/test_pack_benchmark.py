"""benchmarks/placement/pack.py: its data against published totals, and its reading of instances."""

import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.append(str(Path(__file__).resolve().parents[2] / "benchmarks" / "placement"))

from network_shapes import NETWORKS
from pack import (
    INSTANCES,
    StoredMatrix,
    check,
    matrices_of,
    measure_bins,
    measure_network,
    read_instances,
)

from semc.compiler.placement.pack_kinds import Packing
from semc.compiler.placement.pack_search import pack_rectangles


@pytest.mark.parametrize("name", NETWORKS)
def test_a_network_has_its_published_parameters(name: str) -> None:
    network = NETWORKS[name]
    stored = sum(m.groups * m.rows * m.cols for m in network.matrices)
    assert stored + network.elsewhere == network.published


#: Multiply-accumulates of one 224 x 224 image, as the papers state them.
@pytest.mark.parametrize(("name", "macs"), [("resnet50", 4.09e9), ("mobilenetv2", 0.3e9)])
def test_positions_give_the_published_work(name: str, macs: float) -> None:
    found = sum(m.groups * m.rows * m.cols * m.positions for m in NETWORKS[name].matrices)
    assert found == pytest.approx(macs, rel=0.01)


def test_instances_are_read_with_their_best_known(tmp_path: Path) -> None:
    text = """
    1        PROBLEM CLASS
    3        N. OF ITEMS
    1    1   RELATIVE AND ABSOLUTE N. OF INSTANCE
   10   20   HBIN,WBIN
    9    5   H(I),W(I),I=1,...,N
    2    4
   10   20

    1        PROBLEM CLASS
    1        N. OF ITEMS
    2    2   RELATIVE AND ABSOLUTE N. OF INSTANCE
   10   20   HBIN,WBIN
    1    1   H(I),W(I),I=1,...,N
"""
    (tmp_path / "Small.2bp").write_text(text)
    (tmp_path / "best_known_oriented.csv").write_text("path,best\nx/Small.2bp_3_1,2\n")
    first, second = read_instances(tmp_path / "Small.2bp")
    assert (first.name, first.rows, first.cols, first.best) == ("Small.2bp_3_1", 10, 20, 2)
    assert first.sizes.tolist() == [[9, 5], [2, 4], [10, 20]]
    assert (second.name, second.best) == ("Small.2bp_1_2", None)
    row = measure_bins([first, second], 0.01)
    assert (row["bins"], row["best_known"], row["at_best"]) == (3, 2, 1)


def test_the_check_sees_what_overlaps_or_sticks_out() -> None:
    sizes = np.array([[2, 2], [2, 2]])
    zero = np.zeros(2, np.int32)
    check(sizes, Packing(zero, zero, np.array([0, 2]), 1, 1), 4, 4)
    for col in (1, 3):
        with pytest.raises(AssertionError):
            check(sizes, Packing(zero, zero, np.array([0, col]), 1, 1), 4, 4)


def test_the_ways_to_share_keep_their_order() -> None:
    row = measure_network("vit-tiny", NETWORKS["vit-tiny"].matrices)
    assert row["area_bound"] <= row["bound"] <= row["dense"] <= row["auto"]
    assert row["dense"] <= row["exclusive"] <= row["naive"]
    assert row["us_least"] <= row["us_auto"] <= row["us_dense"]
    assert (row["naive"], row["dense"], row["area_bound"]) == (100, 32, 22)


def test_an_onnx_file_gives_its_matrices(examples: Path) -> None:
    assert matrices_of(examples / "digits_mlp.onnx")[0] == StoredMatrix(1, 64, 128, 1)


@pytest.mark.skipif(not INSTANCES.exists(), reason="the published instances are not there")
def test_published_instances_are_packed_as_well_as_is_known() -> None:
    instances = [i for i in read_instances(INSTANCES / "Class_01.2bp") if len(i.sizes) == 20]
    for instance in instances:
        packing = pack_rectangles(instance.sizes, instance.rows, instance.cols, tries=20_000)
        check(instance.sizes, packing, instance.rows, instance.cols)
        assert packing.bound <= packing.arrays == instance.best
