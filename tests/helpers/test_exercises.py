"""Every exercise: its solution passes, it runs unsolved, and typical mistakes have their hints."""

import ast
from pathlib import Path

import nbformat
import numpy as np
import pytest
import yaml
from scipy import stats
from support.notebook_checks import code_cells, tagged, tags
from support.project import ROOT

from mnist_helpers import exercises

NOTEBOOKS = sorted((ROOT / "notebooks").glob("0[0-3]*.ipynb"))
CHOICES = yaml.safe_load(Path(exercises.__file__).with_name("choices.yaml").read_text("utf-8"))
CHECKS = {name: check for name, check in vars(exercises).items() if name.startswith("check_")}


def reply(check, answer, capsys):
    capsys.readouterr()
    assert check(answer) is None
    (line,) = capsys.readouterr().out.splitlines()
    return line


def cells(tag):
    """Return {name: (notebook, cell)} of the cells with a tag; the name is their other tag."""
    found = {}
    for path in NOTEBOOKS:
        for cell in tagged(nbformat.read(path, as_version=4), tag):
            (name,) = [other for other in tags(cell) if other not in (tag, "nbval-ignore-output")]
            found[name] = path.stem, cell
    return found


def checks_in(cell):
    calls = [node for node in ast.walk(ast.parse(cell.source)) if isinstance(node, ast.Call)]
    names = [call.func.id for call in calls if isinstance(call.func, ast.Name)]
    return [name for name in names if name.startswith("check_")]


EXERCISES = {name: place for name, place in cells("exercise").items() if checks_in(place[1])}
SOLUTIONS = cells("solution")


def test_each_notebook_has_three_to_five_exercises_two_of_them_with_code():
    assert len(NOTEBOOKS) == 4
    for path in NOTEBOOKS:
        names = [name for name, (stem, _) in EXERCISES.items() if stem == path.stem]
        written = [name for name in names if name.replace("-", "_") not in CHOICES]
        assert 3 <= len(names) <= 5 and len(written) >= 2, path.stem


def test_each_exercise_has_its_own_check_and_its_solution_right_below():
    assert {name: [f"check_{name.replace('-', '_')}"] for name in EXERCISES} == {
        name: checks_in(cell) for name, (_, cell) in EXERCISES.items()
    }
    assert {f"check_{name.replace('-', '_')}" for name in EXERCISES} == set(CHECKS)
    assert list(SOLUTIONS) == [f"{name}-solution" for name in EXERCISES]
    for path in NOTEBOOKS:
        below = [tags(cell) for cell in nbformat.read(path, as_version=4).cells]
        for exercise, solution in zip(below, below[1:], strict=False):
            if "exercise" in exercise and exercise[1] in EXERCISES:
                assert solution == ["solution", f"{exercise[1]}-solution"]


@pytest.fixture(scope="module")
def namespace():
    """What the notebooks have defined when their exercises begin, as far as these use it."""
    import keras

    names = {"np": np, "keras": keras, "stats": stats, "seed": 1, **CHECKS}
    exec("from mnist_helpers import evaluation, tables", names)
    comparison = nbformat.read(NOTEBOOKS[3], as_version=4)
    for tag in ("designs", "collect"):
        (cell,) = tagged(comparison, tag)
        exec(cell.source, names)
    return names


@pytest.mark.parametrize("name", EXERCISES)
def test_the_solution_is_right_and_the_unsolved_cell_runs(name, namespace, capsys):
    exec(EXERCISES[name][1].source, dict(namespace))
    assert not capsys.readouterr().out.startswith("Right")
    exec(SOLUTIONS[f"{name}-solution"][1].source, dict(namespace))
    (line,) = capsys.readouterr().out.splitlines()
    assert line.startswith("Right. ") and len(line) > 40


def network(*last):
    import keras

    first = [keras.Input((28, 28, 1)), keras.layers.Flatten()]
    return keras.Sequential([*first, *last])


def dense(units, activation=None):
    import keras

    return keras.layers.Dense(units, activation=activation)


def twice(images, labels):
    rng = np.random.default_rng(0)
    return images[rng.permutation(len(images))], labels[rng.permutation(len(labels))]


def draw(images, labels):
    chosen = np.random.default_rng(0).integers(len(labels), size=len(labels))
    return images[chosen], labels[chosen]


def pairs(sizes):
    return zip(sizes[:-1], sizes[1:], strict=True)


def t_interval(difference, ddof=1, t=None):
    n = len(difference)
    t = t or stats.t.ppf(0.975, n - 1)
    reach = t * difference.std(ddof=ddof) / np.sqrt(n)
    return difference.mean() - reach, difference.mean() + reach


FAIR = {"dropout": [0.0, 0.5], "seed": [1, 2], "evaluate_on": ["validation"]}

WRONG = {  # each of these must get a hint of its own
    "invert": [
        lambda image: image,
        lambda image: -image,
        lambda image: 1 - image,
        lambda image: image[::-1],
        lambda image: image[:, ::-1],
        lambda image: 255 - image // 2,
        lambda image: image[0],
        lambda image: image.reverse(),
    ],
    "count_sevens": [
        lambda labels: len(labels == 7),
        lambda labels: labels.sum(),
        lambda labels: 7 * (labels == 7).sum(),
        lambda labels: labels == 7,
        lambda labels: 4,
        lambda labels: labels.count(7),
    ],
    "average": [
        lambda images, labels, digit: images.mean(),
        lambda images, labels, digit: images.mean(axis=0),
        lambda images, labels, digit: images[labels == digit],
        lambda images, labels, digit: images[labels == digit].sum(axis=0, dtype=float),
        lambda images, labels, digit: images[digit],
        lambda images, labels, digit: images[labels == digit].mean(axis=1),
    ],
    "count_parameters": [
        lambda sizes: sum(a * b for a, b in pairs(sizes)),
        lambda sizes: sum(a * b for a, b in pairs(sizes)) + sum(sizes),
        lambda sizes: sum(a * b + 1 for a, b in pairs(sizes)),
        lambda sizes: sum(a * b + b for a, b in pairs(sizes[:-1])),
        lambda sizes: sum(sizes),
        lambda sizes: [a * b + b for a, b in pairs([1, 2, 3])],
    ],
    "shuffle": [
        twice,
        draw,
        lambda images, labels: (images, labels),
        lambda images, labels: images,
        lambda images, labels: np.random.shuffle(zip(images, labels, strict=True)),
    ],
    "crossentropy": [
        lambda p, y: np.log((p * y).sum(axis=1)).mean(),
        lambda p, y: -np.log((p * y).sum(axis=1)).sum(),
        lambda p, y: -np.log((p * y).sum(axis=1)),
        lambda p, y: -(y * np.log(p)).mean(),
        lambda p, y: -np.log10((p * y).sum(axis=1)).mean(),
        lambda p, y: ((p - y) ** 2).mean(),
    ],
    "window": [
        np.array([[-1, -1, -1], [0, 0, 0], [1, 1, 1]]),
        np.array([[1, 0, -1]] * 3),
        np.ones((3, 3)),
        np.array([-1, 0, 1]),
        np.zeros((3, 3)),
        "left",
    ],
    "conv_parameters": [
        lambda n, side, depth: n * side * side * depth,
        lambda n, side, depth: n * side * side * depth + 1,
        lambda n, side, depth: n * (side * side + 1),
        lambda n, side, depth: n * (side * depth + 1),
        lambda n, side, depth: n * depth * (side * side + 1),
        lambda n, side, depth: n + side + depth,
    ],
    "output_layer": [
        lambda: network(dense(10, "relu")),
        lambda: network(dense(10, "sigmoid")),
        lambda: network(dense(1, "softmax")),
        lambda: network(dense(10)),
        lambda: "softmax",
    ],
    "n_runs": [
        lambda grid: sum(len(values) for values in grid.values()),
        lambda grid: len(grid),
        lambda grid: max(len(values) for values in grid.values()),
        lambda grid: 100,
        lambda grid: [len(values) for values in grid.values()],
    ],
    "fair": [
        FAIR | {"evaluate_on": ["test"]},
        FAIR | {"seed": [1]},
        FAIR | {"epochs": [5, 10]},
        FAIR | {"dropout": [0.2]},
        FAIR | {"evaluate_on": "validation"},
        [0.0, 0.2],
    ],
    "paired_interval": [
        lambda a, b: stats.ttest_ind(a, b).confidence_interval(),
        lambda a, b: t_interval(b - a),
        lambda a, b: t_interval(a - b, t=1.96),
        lambda a, b: t_interval(a - b, ddof=0),
        lambda a, b: (a - b).mean(),
        lambda a, b: (0, 1),
    ],
}

RIGHT = {  # other ways than the solution's
    "invert": [
        lambda image: 255.0 - image,
        lambda image: ~image,
        lambda image: (255 - image.astype(int)).tolist(),
    ],
    "count_sevens": [
        lambda labels: (labels == 7).sum(),
        lambda labels: labels.tolist().count(7),
        lambda labels: float(np.count_nonzero(labels == 7)),
    ],
    "average": [
        lambda images, labels, digit: images[labels == digit].mean(axis=0).astype("uint8"),
        lambda images, labels, digit: np.average(images, axis=0, weights=labels == digit),
    ],
    "count_parameters": [
        lambda sizes: np.sum([(a + 1) * b for a, b in pairs(sizes)]),
        lambda sizes: float(sum((a + 1) * b for a, b in pairs(sizes))),
    ],
    "shuffle": [lambda images, labels: [images[::-1], labels[::-1]]],
    "crossentropy": [
        lambda p, y: -(y * np.log(p)).sum() / len(y),
        lambda p, y: np.float32(-np.mean(np.log(p[np.arange(len(y)), y.argmax(axis=1)]))),
    ],
    "window": [
        [[-1, 0, 1], [-2, 0, 2], [-1, 0, 1]],
        np.array([[-0.5, 0.25, 0.25]] * 3)[:, :, None, None],
    ],
    "conv_parameters": [lambda n, side, depth: np.int64(n * side**2 * depth + n)],
    "output_layer": [lambda: network(dense(32, "relu"), dense(10, "softmax"))],
    "n_runs": [lambda grid: float(np.prod([len(list(values)) for values in grid.values()]))],
    "fair": [FAIR | {"seed": range(5), "epochs": [3]}, {**FAIR, "data": ["mnist"]}],
    "paired_interval": [
        lambda a, b: stats.ttest_rel(a, b).confidence_interval(),
        lambda a, b: np.array(stats.ttest_1samp(a - b, 0).confidence_interval()),
    ],
}


def answers(table, name):
    """Return the answers to try; a network is built only when it is needed."""
    return [make() for make in table[name]] if name == "output_layer" else table[name]


def test_every_check_with_code_has_its_mistakes_listed():
    assert {f"check_{name}" for name in {*WRONG, *CHOICES, "flattery"}} == set(CHECKS)
    assert set(RIGHT) == set(WRONG) and all(len(wrong) >= 2 for wrong in WRONG.values())


@pytest.mark.parametrize("name", WRONG)
def test_each_typical_mistake_gets_a_hint_of_its_own(name, capsys):
    hints = [reply(CHECKS[f"check_{name}"], wrong, capsys) for wrong in answers(WRONG, name)]
    assert len(set(hints)) == len(hints)
    assert not [hint for hint in hints if hint.startswith("Right") or len(hint) < 20]


@pytest.mark.parametrize("name", RIGHT)
def test_every_right_way_is_accepted(name, capsys):
    for right in answers(RIGHT, name):
        assert reply(CHECKS[f"check_{name}"], right, capsys).startswith("Right. ")


def test_the_flattery_is_measured_against_the_runs_own_design(namespace, capsys):
    scores = {name: 100 * np.array(part) for name, part in namespace["scores"].items()}
    runs = max(scores.values(), key=max)
    flattery = runs.max() - runs.mean()
    on_top = max(part.mean() for part in scores.values())
    wrong = [flattery / 100, -flattery, runs.max() - on_top, runs.max(), 0.5, [1, 2]]
    hints = [reply(exercises.check_flattery, points, capsys) for points in wrong]
    assert len(set(hints)) == len(hints) and not any(h.startswith("Right") for h in hints)
    for points in (flattery, round(flattery, 2), np.float32(flattery)):
        assert reply(exercises.check_flattery, points, capsys).startswith("Right. ")


@pytest.mark.parametrize("name", CHOICES)
def test_every_option_of_a_choice_has_its_reason(name, capsys):
    check, (stem, _) = CHECKS[f"check_{name}"], EXERCISES[name.replace("_", "-")]
    right, replies = CHOICES[name]["right"], CHOICES[name]["replies"]
    prose = nbformat.read(next(p for p in NOTEBOOKS if p.stem == stem), as_version=4)
    options = [cell.source for cell in prose.cells if cell.cell_type == "markdown"]
    assert any(all(f"- **{letter}**: " in source for letter in replies) for source in options)
    said = [reply(check, letter, capsys) for letter in replies]
    assert len(set(said)) == len(said) >= 3 and min(map(len, said)) > 40
    for letter, line in zip(replies, said, strict=True):
        assert line.startswith("Right. " if letter == right else "No. ")
    assert reply(check, f" {right.upper()} ", capsys) == reply(check, right, capsys)
    for unanswered in (None, "z", 3, ["a"]):
        assert reply(check, unanswered, capsys).startswith("Not answered yet")


def test_what_is_not_solved_or_no_answer_at_all_is_said_so(capsys):
    assert reply(exercises.check_invert, lambda image: None, capsys).startswith("Not solved yet")
    assert reply(exercises.check_invert, lambda image: ..., capsys).startswith("Not solved yet")
    assert reply(exercises.check_window, ..., capsys).startswith("Not solved yet")
    assert "without brackets" in reply(exercises.check_n_runs, 3, capsys)
    assert "ZeroDivisionError" in reply(exercises.check_n_runs, lambda grid: 1 / 0, capsys)


ODD = {
    **{f"{value!r:.20}": value for value in (0, "b c", [], {}, float("nan"), {"seed": None}, 1j)},
    "object": object(),
    "array": np.zeros((40, 3, 3)),
    "type": int,
    "text": lambda *arguments: "seven",
    "ragged": lambda *arguments: [[1], [2, 3]],
    "error": lambda *arguments: {}["two\nlines"],
}


@pytest.mark.parametrize("odd", ODD)
@pytest.mark.parametrize("name", CHECKS)
def test_no_answer_stops_the_notebook(name, odd, capsys):
    line = reply(CHECKS[name], ODD[odd], capsys)
    assert len(line) > 20 and not line.startswith("Right")


def test_a_check_leaves_what_it_is_given_as_it_was(capsys):
    def spoil(labels):
        labels[:] = 7
        return 99

    first, second = (reply(exercises.check_count_sevens, spoil, capsys) for _ in range(2))
    assert first == second and not first.startswith("Right")


def test_no_solution_is_hinted_at_in_a_hint():
    """A hint that held the solution's own line would leave nothing to find."""
    source = Path(exercises.__file__).read_text("utf-8")
    texts = [
        node.value
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and " " in node.value
    ]
    for _, cell in SOLUTIONS.values():
        for line in cell.source.splitlines():
            code = line.strip().removeprefix("return ").split(" = ")[-1]
            if len(code) > 8 and not code.startswith(("check_", "def ")):
                assert not [text for text in texts if code in text], code


def test_code_cells_hold_no_answer_before_it_is_given():
    for path in NOTEBOOKS:
        shown = [
            c for c in code_cells(nbformat.read(path, as_version=4)) if "solution" not in tags(c)
        ]
        for cell in shown:
            assert "Right." not in str(cell.outputs)
