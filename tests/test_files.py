"""Test that a file is written completely or not at all."""


import pytest

from grmu.data.files import write_whole


def names(folder):
    return {path.name for path in folder.iterdir()}


@pytest.mark.parametrize(("content", "expected"), [
    ("λ = 1\n", "λ = 1\n".encode()), (b"\x00\r\n", b"\x00\r\n")])
def test_the_content_is_the_file_to_the_byte_and_missing_folders_are_made(tmp_path, content, expected):
    path = tmp_path / "new" / "folder" / "file.csv"
    for _ in range(2):  # the second takes the place of the first
        write_whole(path, content)
        assert path.read_bytes() == expected
        assert names(path.parent) == {"file.csv"}


def test_a_failure_half_way_leaves_the_old_file_and_nothing_beside_it(tmp_path, monkeypatch):
    path = tmp_path / "file.csv"
    write_whole(path, "old")

    def stop_half_way(temporary, _):
        assert temporary.read_text() == "new"
        assert path.read_text() == "old"
        raise KeyboardInterrupt

    monkeypatch.setattr("os.replace", stop_half_way)
    with pytest.raises(KeyboardInterrupt):
        write_whole(path, "new")
    assert path.read_text() == "old"
    assert names(tmp_path) == {"file.csv"}


