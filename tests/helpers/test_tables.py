import pytest

from mnist_helpers import tables

DESIGN_COLUMNS = ("conv_filters", "kernel_sizes", "dense_units", "dropout", "dropout_place")


@pytest.fixture
def measured(tmp_path, monkeypatch):
    """Return an empty folder from which `load_table` reads instead of the project's."""
    monkeypatch.setattr(tables.resources, "files", lambda package: tmp_path)
    folder = tmp_path / "measured"
    folder.mkdir()
    return folder


def test_numbers_and_lists_are_read_as_such_and_all_else_as_text(measured):
    (measured / "a.csv").write_text('whole,share,sizes,name,none\n3,0.5,"[30, 15]",3.15.1,\n')
    assert tables.load_table("a") == [
        {"whole": 3, "share": 0.5, "sizes": [30, 15], "name": "3.15.1", "none": ""}
    ]


def test_each_back_end_s_last_run_can_be_had_alone(measured):
    (measured / "speed.csv").write_text(
        "run,backend,a\n1,tensorflow,1\n2,jax,2\n3,tensorflow,3\n3,tensorflow,4\n"
    )
    assert [row["a"] for row in tables.load_table("speed")] == [1, 2, 3, 4]
    assert [row["a"] for row in tables.load_table("speed", latest=True)] == [2, 3, 4]


def test_an_unknown_table_is_not_found():
    with pytest.raises(FileNotFoundError, match="nosuch"):
        tables.load_table("nosuch")


def test_rows_are_grouped_by_one_column_in_the_order_of_its_values():
    rows = [{"a": 2, "b": "x"}, {"a": 1, "b": "x"}, {"a": 2, "b": "y"}]
    groups = tables.group_rows(rows, "a")
    assert groups == {2: [rows[0], rows[2]], 1: [rows[1]]}
    assert list(groups) == [2, 1]


def test_rows_are_grouped_by_several_columns():
    rows = [{"a": 2, "b": "x"}, {"a": 1, "b": "x"}, {"a": 2, "b": "y"}]
    assert tables.group_rows(rows, "b", "a") == {
        ("x", 2): [rows[0]],
        ("x", 1): [rows[1]],
        ("y", 2): [rows[2]],
    }
