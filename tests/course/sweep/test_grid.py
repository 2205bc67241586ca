"""The grid of a sweep: values, combinations, files, and what is refused."""

import os
import re
import subprocess
import threading
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mnist_course.sweep import grid as grid_module
from mnist_course.sweep.grid import check_grid, count_runs, list_runs, merge_grids, read_grid

DEFAULTS = {
    "seed": 7,
    "rate": 0.5,
    "units": [512, 512],
    "flag": True,
    "data": "",
    "name": "x",
    "extra": None,
    "results_dir": "results",
}
RUNS_A_PROGRAM = "seed: !!python/object/apply:os.system [touch trace]"


@pytest.mark.parametrize(
    ("name", "values", "expected"),
    [
        ("seed", "0:5", [0, 1, 2, 3, 4]),
        ("seed", "1,5:8", [1, 5, 6, 7]),
        ("seed", "-2:1, -7", [-2, -1, 0, -7]),
        ("rate", "1e-3,1", [0.001, 1.0]),
        ("units", "[16,32]", [[16, 32]]),
        ("units", "[16,32],[8],[]", [[16, 32], [8], []]),
        ("flag", "false,true", [False, True]),
        ("extra", "null,0:5,1e-3,[1, b]", [None, "0:5", 0.001, [1, "b"]]),
        ("name", "0123,false,1e-3,0:5", ["0123", "false", "1e-3", "0:5"]),
        ("name", "'a,b','',c", ["a,b", "", "c"]),
        ("name", ["a,b", "0:5"], ["a,b", "0:5"]),
        ("seed", range(2, 4), [2, 3]),
        ("rate", (1, 0.1), [1.0, 0.1]),
        ("flag", False, [False]),
        ("extra", None, [None]),
        ("units", [[16, 32]], [[16, 32]]),
    ],
)
def test_values_come_in_their_parameters_type(name, values, expected):
    assert repr(check_grid({name: values}, DEFAULTS)) == repr([{name: expected}])


REFUSED = {
    "seed has no values: the grid is empty": [{"seed": ""}, {"seed": []}],
    "seed=1,5:3: there is no number in 5:3; 3:5 stands for 3 and 4": [{"seed": "1,5:3"}],
    "seed=0:99999999999999999999 has more than 1,000,000": [{"seed": "0:99999999999999999999"}],
    "rate must be a float like its default 0.5; received '0:5'": [{"rate": "0:5"}],
    "cannot be read: put texts into quotes": [{"seed": "["}, {"seed": "1], [2"}, {"name": "@x"}],
    "name must be text like its default 'x'; received": [{"name": "{a: b}"}, {"name": 5}],
    "seed must be an int like its default": [{"seed": "0:3:1"}, {"seed": True}, {"seed": [1, 1.5]}],
    "flag must be true or false": [{"flag": "1"}, {"flag": 0}],
    "units must be a list": [{"units": "16,32"}, {"units": [16, 32]}],
    "'rates' (did you mean 'rate'?); known: seed, rate,": [[{"seed": 1}, {"rates": "0:5"}]],
    "cannot be the name of a parameter": [{"a b": "1"}, {"x;import os": 1}, {"import": [1]}],
    "the grid is empty": [{}, [], [{}], [{"seed": 1}, {}]],
    "results_dir cannot be set in a sweep": [{"results_dir": "here"}],
    'received "digits", "mnist"': [{"data": "digits,mnist"}, {"data": ["mnist", "digits"]}],
    "`data` can have one value": [[{"data": "digits"}, {"data": "mnist", "seed": 1}]],
    'one value only; received "", "digits"': [[{"data": "digits"}, {"seed": 1}]],
    "seed must be an int like": [{"seed": "0:10**30"}, {"seed": f"0:{'9' * 101}"}],
    "has more than 1,000,000 values": [
        {"seed": range(10**9)},
        {"seed": range(10**30)},
        {"seed": "0:900000,0:900000"},
        {"seed": f"0:{'9' * 100}"},
    ],
    "the grid has more than 1,000,000 values": [[{"seed": "0:2"}, {"name": ["x"] * 999_999}]],
    "the grid has more than 1,000,000 runs": [{"seed": "0:2000", "rate": [0.1] * 501}],
    "a grid is a dict or a list of dicts": [5, None, "seed", iter([{"seed": 1}])],
    "&a 1,*a cannot be read": [{"seed": "&a 1,*a"}, {"name": "&a 1,*a"}],
    "lists in lists may be 10 deep": [{"units": "[" * 5000}, {"name": "[" * 5000}],
    "1 cannot be the name": [{1: 2}],
}


@pytest.mark.parametrize("message", REFUSED)
def test_what_cannot_be_run_is_refused(message):
    for grid in REFUSED[message]:
        with pytest.raises(ValueError, match=re.escape(message)):
            check_grid(grid, DEFAULTS)


@pytest.mark.parametrize("name", ["seed", "rate", "name", "data", "extra"])
def test_an_error_quotes_little(name):
    for text in ("1" * 10**6, "{" * 10**5, ",".join(f"{{{number}}}" for number in range(500))):
        with pytest.raises(ValueError) as caught:
            check_grid({name: text}, DEFAULTS)
        assert name in str(caught.value)
        assert len(str(caught.value)) < 700


def test_all_combinations_of_each_grid_are_listed_and_counted():
    grids = check_grid([{"seed": "0:2", "rate": [0.1, 1]}, {"units": "[1],[2],[3]"}], DEFAULTS)
    pairs = [{"seed": seed, "rate": rate} for seed in (0, 1) for rate in (0.1, 1.0)]
    assert list(list_runs(grids)) == pairs + [{"units": [units]} for units in (1, 2, 3)]
    assert count_runs(grids) == 7
    assert count_runs([{"a": range(10**9), "b": range(10**9)}]) == 10**18


def test_grid_files_are_read_as_yaml_1_2(tmp_path):
    path = tmp_path / "grid.yaml"
    path.write_text("seed: 0:3\nrate: [1e-3, 1]\nname: no\nextra: [on, 012]\n")
    expected = {"seed": [0, 1, 2], "rate": [0.001, 1.0], "name": ["no"], "extra": ["on", "012"]}
    assert repr(check_grid(read_grid(path), DEFAULTS)) == repr([expected])
    path.write_text("- {seed: 1, units: [[16, 32]]}\n- rate: 0.1\n")
    assert read_grid(path) == [{"seed": 1, "units": [[16, 32]]}, {"rate": 0.1}]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "x",
        "- 1",
        "1: 2",
        "- {x: 1}\n- [2]",
        "a: [",
        "a: !!python/name:os.system",
        RUNS_A_PROGRAM,
    ],
)
def test_files_that_hold_no_grid_are_refused_and_run_nothing(tmp_path, monkeypatch, text):
    monkeypatch.chdir(tmp_path)
    Path("grid.yaml").write_text(text)
    with pytest.raises(ValueError, match="must hold `name:|cannot be read"):
        read_grid("grid.yaml")
    assert [path.name for path in tmp_path.iterdir()] == ["grid.yaml"]


ODD_FILES = {
    "a line with an anchor": (b"seed: 1\nrate: &a 1", "line 2: anchors"),
    "tabs": (b"seed:\n\t- 1", "line 2: "),
    "NUL": (b"seed: \0", "character 7"),
    "no text": (bytes(range(128, 256)), "character 1: invalid start byte"),
    "100 MB": (b"- 1\n" * 25_000_000, "100,000 characters"),
    "deep": (b"[" * 90_000, "10 deep"),
    "digits": (b"rate: " + b"1" * 400, "100 digits"),
}


@pytest.mark.parametrize(("content", "message"), ODD_FILES.values(), ids=ODD_FILES)
def test_a_file_of_another_kind_is_refused_by_its_name(content, message, tmp_path):
    path = tmp_path / "grid.yaml"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=message) as caught:
        read_grid(path)
    assert str(caught.value).startswith(f"{path} cannot be read: ")
    assert len(str(caught.value)) < 500


def test_utf_16_and_a_byte_order_mark_are_read(tmp_path):
    path = tmp_path / "grid.yaml"
    for content in ("seed: 1".encode("utf-16"), b"\xef\xbb\xbfseed: 1"):
        path.write_bytes(content)
        assert read_grid(path) == [{"seed": 1}]


def test_paths_that_are_none_are_refused_in_a_short_line(tmp_path):
    for path in (tmp_path, "x" * 100_000, "a\0b", "\ud800", "/dev/null", "/dev/zero"):
        with pytest.raises((ValueError, OSError)) as caught:
            read_grid(path)
        assert len(str(caught.value)) < 400
        assert str(caught.value).isprintable()


on_unix = pytest.mark.skipif(os.name != "posix", reason="Windows has no such files")


@on_unix
def test_a_pipe_is_read_and_not_waited_for_without_end(tmp_path, monkeypatch):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    writer = threading.Thread(target=pipe.write_bytes, args=[b"seed: 1"])
    writer.start()
    assert read_grid(pipe) == [{"seed": 1}]
    writer.join()
    monkeypatch.setattr(grid_module, "_READ_SECONDS", 0.1)
    with pytest.raises(TimeoutError, match="pipe: nothing came within 0.1 seconds"):
        read_grid(pipe)


@on_unix
def test_a_program_s_output_without_end_is_refused(tmp_path):
    with subprocess.Popen(["yes", "seed: 1"], stdout=subprocess.PIPE) as program:
        with pytest.raises(ValueError, match="100,000 characters"):
            read_grid(f"/dev/fd/{program.stdout.fileno()}")
        program.kill()


# --- whatever comes in -------------------------------------------------------------------------

bounded = settings(max_examples=100, derandomize=True, database=None, deadline=None)
PIECES = st.sampled_from(
    [b"seed", b"rate", b"name", b": ", b"[", b"]", b"{", b"}", b",", b"\n", b"- ", b"0:5", b"1e3"]
    + [b"&a ", b"*a", b"!!", b"'", b'"', b"#", b"|", b"?", b"\t", b"\0", b"\xff", b"\xc3\xa9"]
)
CONTENTS = st.one_of(st.binary(max_size=40), st.lists(PIECES, max_size=15).map(b"".join))


@pytest.fixture(scope="module")
def grid_file(tmp_path_factory):
    return tmp_path_factory.mktemp("grids") / "grid.yaml"


@bounded
@given(content=CONTENTS)
def test_any_file_is_a_grid_or_one_line_that_names_the_cause(grid_file, content):
    grid_file.write_bytes(content)
    try:
        grids = read_grid(grid_file)
    except ValueError as error:
        assert str(error).startswith(f"{grid_file} ")
        assert str(error).isprintable()
        return
    checks_out_or_is_refused(grids)


@bounded
@given(st.dictionaries(st.sampled_from(["seed", "rate", "units", "name"]), st.text(max_size=20)))
def test_any_texts_are_a_grid_or_refused_in_one_line(texts):
    checks_out_or_is_refused(texts)


def checks_out_or_is_refused(grid):
    try:
        grids = check_grid(grid, DEFAULTS)
    except ValueError as error:
        assert str(error).isprintable()
        assert len(str(error)) < 700
        return
    assert len(list(list_runs(grids))) == count_runs(grids)


# --- grids from both ---------------------------------------------------------------------------


def test_a_name_stands_in_the_file_or_on_the_command_line():
    merged = merge_grids([{"seed": 1}, {"rate": 0.1}], {"flag": "true"})
    assert merged == [{"seed": 1, "flag": "true"}, {"rate": 0.1, "flag": "true"}]
    with pytest.raises(ValueError, match="rate is in the grid file and given as well"):
        merge_grids(merged, {"rate": "1"})
