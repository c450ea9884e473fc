"""Tiles: the paths and widths that the specification gives, and every changed file is found."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.errors import LogFault, ProofInvalid
from ledger.log.merkle import EMPTY_FRONTIER, inclusion_proof, leaf_hash, nodes_of, verify_inclusion
from ledger.log.reading import LogReader
from ledger.log.tiles import (
    Tile,
    bundles_of,
    decode_bundle,
    encode_bundle,
    split_tile,
    tile_hash,
    tiles_of,
    upper_tiles,
)
from ledger.log.tiles_export import export_tiles, verify_folder
from tests.ledger.log.ledgers import create, tap
from tests.ledger.test_verify import KEYS


@pytest.fixture(scope="module")
def tiles(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tiles")
    with create(folder / "ledger.db") as store:
        store.append([tap(number) for number in range(500)])
        store.append([tap(number) for number in range(500, 600)])
        assert export_tiles(store, folder / "out", KEYS[1:]) == store.size == 602
    return folder / "out"


def test_paths_of_the_specification() -> None:
    assert Tile(0, 1_234_067).path == "tile/0/x001/x234/067"
    assert Tile(None, 1_234_067, 8).path == "tile/entries/x001/x234/067.p/8"
    assert Tile(63, 0).path == "tile/63/000"
    assert Tile(1, 999).path == "tile/1/999"
    assert Tile(1, 1_000).path == "tile/1/x001/000"


def test_tiles_of_the_specifications_tree_of_70_000() -> None:
    found = list(tiles_of(70_000))
    assert sum(1 for tile in found if (tile.level, tile.width) == (0, 256)) == 273
    assert Tile(0, 273, 112) in found
    assert [tile for tile in found if tile.level] == [Tile(1, 0), Tile(1, 1, 17), Tile(2, 0, 1)]
    assert list(tiles_of(256)) == [Tile(0, 0), Tile(1, 0, 1)]
    assert list(tiles_of(0)) == []
    assert [one.width for one in bundles_of(300)] == [256, 44]


@given(st.one_of(st.none(), st.integers(0, 63)), st.integers(0, 2**48), st.integers(1, 256))
def test_paths_come_back(level: int | None, index: int, width: int) -> None:
    tile = Tile(level, index, width)
    assert Tile.parse(tile.path) == tile


@given(
    st.text(max_size=40) | st.from_regex(r"tile/(entries|\d{1,2})/(x\d{3}/){0,3}\d{3}(\.p/\d+)?")
)
def test_other_paths_are_refused(path: str) -> None:
    try:
        assert Tile.parse(path).path == path
    except ProofInvalid:
        pass


@pytest.mark.parametrize(
    "path", ["tile/0/x000/001", "tile/64/000", "tile/00/000", "tile/0/0", "tile/0/000.p/256",
             "tile/0/000.p/0", "tile/0/000.p/999", "tile/0/000\n", "tile/0/٠٠٠", "/tile/0/000"]
)  # fmt: skip
def test_paths_with_a_second_spelling_are_refused(path: str) -> None:
    with pytest.raises(ProofInvalid):
        Tile.parse(path)


@given(st.lists(st.binary(max_size=300), max_size=20))
def test_bundles_come_back(entries: list[bytes]) -> None:
    assert decode_bundle(encode_bundle(entries)) == entries


@given(st.binary(max_size=600))
def test_any_bytes_are_a_bundle_or_refused(data: bytes) -> None:
    try:
        assert encode_bundle(decode_bundle(data)) == data
    except ProofInvalid:
        pass


def test_bundles_are_bounded() -> None:
    assert len(decode_bundle(bytes(512))) == 256
    with pytest.raises(ProofInvalid, match="more than 256"):
        decode_bundle(bytes(514))
    with pytest.raises(ProofInvalid, match="does not fit"):
        encode_bundle([bytes(65_536)])
    with pytest.raises(ProofInvalid, match="63 bytes"):
        split_tile(bytes(63), 2)


def test_upper_tiles_hash_to_the_root_of_a_large_tree() -> None:
    leaves = [leaf_hash(b"%d" % number) for number in range(256 * 258)]
    full = [tile_hash(leaves[at : at + 256]) for at in range(0, len(leaves), 256)]
    made = dict(upper_tiles(full))
    assert set(made) == {tile for tile in tiles_of(len(leaves)) if tile.level}
    # The partial tiles, highest level first, are the right edge of the tree.
    edge = EMPTY_FRONTIER.extend(split_tile(made[Tile(1, 1, 2)], 2)).nodes
    root = EMPTY_FRONTIER.extend(leaves).root()
    from ledger.log.merkle import Frontier

    top = split_tile(made[Tile(2, 0, 1)], 1)
    assert Frontier(len(leaves), (*top, *edge)).root() == root


def test_an_export_holds_and_proves(tiles: Path) -> None:
    report = verify_folder(tiles)
    assert (report.faults, report.size) == ([], 602)
    files = [path for path in tiles.rglob("*") if path.is_file()]
    assert sorted(path.relative_to(tiles).as_posix() for path in files) == [
        "checkpoint", "tile/0/000", "tile/0/001", "tile/0/002.p/90", "tile/1/000.p/2",
        "tile/entries/000", "tile/entries/001", "tile/entries/002.p/90", "vkeys",
    ]  # fmt: skip
    hashes: list[bytes] = []
    for tile in tiles_of(602):
        if tile.level == 0:
            hashes += split_tile((tiles / tile.path).read_bytes(), tile.width)
    with LogReader.open(tiles.parent / "ledger.db") as reader:
        root = reader.root_at(602)
        entry = next(reader.entries(511, 512))
    assert decode_bundle((tiles / "tile/entries/001").read_bytes())[255] == entry
    proof = inclusion_proof(511, 602, nodes_of(hashes))
    verify_inclusion(511, 602, leaf_hash(entry), proof, root)


def test_every_damaged_file_is_found(tiles: Path, tmp_path: Path) -> None:
    place = tmp_path / "out"
    shutil.copytree(tiles, place)
    for file in [path for path in place.rglob("*") if path.is_file()]:
        whole = file.read_bytes()
        for at in range(0, len(whole), max(len(whole) // 25, 1)):
            changed = bytearray(whole)
            changed[at] ^= 0x04
            file.write_bytes(changed)
            assert not verify_folder(place, KEYS if file.name != "vkeys" else ()).ok, (file, at)
        for data in (whole[:-1], b""):
            file.write_bytes(data)
            if file.name != "vkeys" or not data:
                assert not verify_folder(place).ok, file
        file.unlink()
        assert not verify_folder(place).ok
        file.write_bytes(whole)
    assert verify_folder(place).ok


def test_the_changed_entry_is_named(tiles: Path, tmp_path: Path) -> None:
    place = tmp_path / "out"
    shutil.copytree(tiles, place)
    bundle = place / "tile/entries/001"
    entries = decode_bundle(bundle.read_bytes())
    entries[7] = entries[7].replace(b"M01", b"M02")
    entries[9], entries[10] = entries[10], entries[9]
    bundle.write_bytes(encode_bundle(entries))
    faults = {(fault.seq, fault.kind) for fault in verify_folder(place).faults}
    moved = {(seq, kind) for seq in (265, 266) for kind in ("leaf", "order")}
    assert faults == {(263, "leaf"), *moved, (None, "tile"), (None, "root")}
    bundle.write_bytes(encode_bundle(entries[:200]))
    assert (456, "missing") in {(fault.seq, fault.kind) for fault in verify_folder(place).faults}


def test_a_folder_that_is_in_use_is_left_alone(tiles: Path) -> None:
    ledger = tiles.parent / "ledger.db"
    with LogReader.open(ledger) as reader, pytest.raises(LogFault, match="not empty"):
        export_tiles(reader, tiles)


@pytest.fixture(scope="module")
def pruned(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Tiles of a log of three full tiles and a part, pruned below 600."""
    place = tmp_path_factory.mktemp("pruned") / "tiles"
    with create() as store:
        for start in (0, 400):
            store.append([tap(start + number) for number in range(400)])
        assert export_tiles(store, place, (), None, 600) == 802
    return place


def copy_of(pruned: Path, tmp_path: Path) -> Path:
    return shutil.copytree(pruned, tmp_path / "copy")


def test_a_pruned_log_keeps_its_roots_and_what_is_above(pruned: Path, tmp_path: Path) -> None:
    names = {str(one.relative_to(pruned)) for one in pruned.rglob("*") if one.is_file()}
    assert names == {
        "checkpoint",
        "vkeys",
        "minimum_index",
        "tile/0/002",
        "tile/0/003.p/34",
        "tile/1/000.p/3",
        "tile/entries/002",
        "tile/entries/003.p/34",
    }
    report = verify_folder(pruned)
    assert (report.faults, report.size) == ([], 802)
    with create() as store:
        for start in (0, 400):
            store.append([tap(start + number) for number in range(400)])
        with pytest.raises(LogFault, match="no minimum index"):
            export_tiles(store, tmp_path / "out", (), None, 803)


def test_a_pruned_log_may_keep_more_than_it_must(pruned: Path, tmp_path: Path) -> None:
    place = copy_of(pruned, tmp_path)
    with create() as store:
        for start in (0, 400):
            store.append([tap(start + number) for number in range(400)])
        export_tiles(store, tmp_path / "whole")
    shutil.copy(tmp_path / "whole/tile/entries/001", place / "tile/entries/001")
    shutil.copy(tmp_path / "whole/tile/0/001", place / "tile/0/001")
    assert verify_folder(place).ok
    (place / "tile/0/001").write_bytes(bytes(8192))
    assert "leaf" in {fault.kind for fault in verify_folder(place).faults}


@pytest.mark.parametrize(
    ("name", "data", "kind"),
    [
        ("minimum_index", b"900\n", "file"),
        ("minimum_index", b"-1\n", "file"),
        ("minimum_index", b"0600\n", "file"),
        ("minimum_index", b"300\n", "file"),
        ("tile/1/000.p/3", bytes(96), "root"),
        ("tile/1/000.p/3", bytes(64), "tile"),
        ("tile/entries/002", b"", "missing"),
    ],
)
def test_damage_to_a_pruned_log_is_found(
    pruned: Path, tmp_path: Path, name: str, data: bytes, kind: str
) -> None:
    place = copy_of(pruned, tmp_path)
    (place / name).write_bytes(data)
    assert kind in {fault.kind for fault in verify_folder(place).faults}
