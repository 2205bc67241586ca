"""Each check accepts what is right, and has a hint for each typical mistake."""

import itertools
import random
import threading
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import yaml
from scipy import stats

from mnist_helpers import exercises
from mnist_helpers.tables import load_table

CHOICES = yaml.safe_load(Path(exercises.__file__).with_name("choices.yaml").read_text("utf-8"))
CHECKS = {name: check for name, check in vars(exercises).items() if name.startswith("check_")}


@pytest.fixture(scope="module", autouse=True)
def keras_at_work():
    """Import Keras before any check does, whose seconds are limited, and let it compute once."""
    import keras

    keras.ops.mean(keras.ops.ones(2))


def reply(check, answer, capsys):
    """Return the one line that a check prints."""
    capsys.readouterr()
    assert check(answer) is None
    (line,) = capsys.readouterr().out.splitlines()
    return line


def is_right(line):
    return line.startswith("Right. ")


# --- answers -----------------------------------------------------------------------------------


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


def shuffle_pairs(images, labels):
    both = list(zip(images, labels, strict=True))
    random.shuffle(both)
    return list(zip(*both, strict=True))


def exchange_two(images, labels):
    order = np.arange(len(labels))
    order[[0, -1]] = order[[-1, 0]]
    return images[order], labels[order]


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

# Each of these must get a hint of its own.
WRONG = {
    "invert": [
        lambda image: image,
        lambda image: -image,
        lambda image: 1 - image,
        lambda image: image[::-1],
        lambda image: image[:, ::-1],
        lambda image: image.max() - image,
        lambda image: 255 - image // 2,
        lambda image: image[0],
        lambda image: image.reverse(),
    ],
    "count_sevens": [
        lambda labels: len(labels == 7),
        lambda labels: labels.sum(),
        lambda labels: 7 * (labels == 7).sum(),
        lambda labels: (labels >= 7).sum(),
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
        lambda images, labels: (images[::-1], labels[::-1]),
        exchange_two,
        lambda images, labels: np.random.shuffle(zip(images, labels, strict=True)),
    ],
    "crossentropy": [
        lambda p, y: np.log((p * y).sum(axis=1)).mean(),
        lambda p, y: -np.log((p * y).sum(axis=1)).sum(),
        lambda p, y: -np.log((p * y).sum(axis=1)),
        lambda p, y: -(y * np.log(p)).mean(),
        lambda p, y: -np.log10((p * y).sum(axis=1)).mean(),
        lambda p, y: -np.log2((p * y).sum(axis=1)).mean(),
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
        FAIR | {"dropout": [0.2, 0.2]},
        FAIR | {"dropout": [0.2, 2]},
        FAIR | {"dropout": [0.2], "epochs": [5, 10]},
        FAIR | {"seed": [1, "1"]},
        FAIR | {"epochs": []},
        FAIR | {"epochs": [0]},
        FAIR | {"batch_size": [2.5]},
        FAIR | {"validation_fraction": [0]},
        FAIR | {"dropout_place": ["below"]},
        FAIR | {"data": [5]},
        FAIR | {"drop_out": [0.2]},
        {1: [2]} | FAIR,
        FAIR | {"evaluate_on": "validation"},
        [0.0, 0.2],
    ],
    "paired_interval": [
        lambda a, b: stats.ttest_ind(a, b).confidence_interval(),
        lambda a, b: t_interval(b - a),
        lambda a, b: t_interval(a - b, t=1.96),
        lambda a, b: t_interval(a - b, ddof=0),
        lambda a, b: t_interval(a - b)[::-1],
        lambda a, b: np.round(t_interval(a - b), 2),
        lambda a, b: (a - b).mean(),
        lambda a, b: (0, 1),
    ],
}

# Other ways than the notebooks' solutions.
RIGHT = {
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
    "shuffle": [shuffle_pairs],
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


# Networks are built only where they are needed, since importing Keras takes seconds.
BUILT_ANSWERS = {"output_layer"}


def answers(table, name):
    if name in BUILT_ANSWERS:
        return [build() for build in table[name]]
    return table[name]


def test_a_seed_that_no_run_can_have_is_told(capsys):
    line = reply(exercises.check_fair, FAIR | {"seed": [1, 2**32]}, capsys)
    assert line.startswith("Each value of seed must be a whole number from 0 to 4294967295.")


def test_every_check_has_its_answers_listed():
    names = {*WRONG, *CHOICES, "flattery"}
    assert {f"check_{name}" for name in names} == set(CHECKS)
    assert set(RIGHT) == set(WRONG)
    assert all(len(wrong) >= 2 for wrong in WRONG.values())


@pytest.mark.parametrize("name", WRONG)
def test_each_typical_mistake_gets_a_hint_of_its_own(name, capsys):
    hints = [reply(CHECKS[f"check_{name}"], wrong, capsys) for wrong in answers(WRONG, name)]
    assert len(set(hints)) == len(hints)
    assert not [hint for hint in hints if hint.startswith("Right") or len(hint) < 20]


# One of the answers listed for these is no typical mistake: it gets the hint for all others.
WITH_ANOTHER = {
    "invert",
    "count_sevens",
    "average",
    "count_parameters",
    "crossentropy",
    "conv_parameters",
    "n_runs",
    "paired_interval",
}


@pytest.mark.parametrize("name", WRONG)
def test_no_typical_mistake_is_left_to_the_hint_for_all_others(name, monkeypatch, capsys):
    # That hint holds what was received, so it differs from the other hints in any case.
    compare = exercises._compare
    others = []

    def spy(received, expected, mistakes, otherwise, **options):
        try:
            compare(received, expected, mistakes, otherwise, **options)
        except exercises._HintError as hint:
            if str(hint) == otherwise:
                others.append(wrong)
            raise

    monkeypatch.setattr(exercises, "_compare", spy)
    for wrong in answers(WRONG, name):
        reply(CHECKS[f"check_{name}"], wrong, capsys)
    n_expected = 1 if name in WITH_ANOTHER else 0
    assert len(others) == n_expected


@pytest.mark.parametrize("name", RIGHT)
def test_every_right_way_is_accepted(name, capsys):
    for right in answers(RIGHT, name):
        assert is_right(reply(CHECKS[f"check_{name}"], right, capsys))


def load_scores():
    """Return the percents of validation digits read right: a row for each of ten designs."""
    rows = [row for row in load_table("architectures") if row["evaluate_on"] == "validation"]
    assert [row["seed"] for row in rows] == [1, 2, 3, 4, 5] * 10
    return 100 * np.array([row["val_accuracy"] for row in rows]).reshape(10, 5)


def test_the_flattery_is_measured_against_the_runs_own_design(capsys):
    scores = load_scores()
    highest_run = scores.max()
    runs = scores[scores.max(axis=1).argmax()]
    flattery = highest_run - runs.mean()
    best_mean = scores.mean(axis=1).max()
    wrong = [flattery / 100, -flattery, highest_run - best_mean, highest_run, 0.5, [1, 2]]
    hints = [reply(exercises.check_flattery, points, capsys) for points in wrong]
    assert len(set(hints)) == len(hints)
    assert not any(is_right(hint) for hint in hints)
    for points in (flattery, round(flattery, 2), np.float32(flattery)):
        assert is_right(reply(exercises.check_flattery, points, capsys))


@pytest.mark.parametrize("name", CHOICES)
def test_every_option_of_a_choice_has_its_reason(name, capsys):
    check = CHECKS[f"check_{name}"]
    right = CHOICES[name]["right"]
    letters = list(CHOICES[name]["replies"])
    lines = {letter: reply(check, letter, capsys) for letter in letters}
    assert len(set(lines.values())) == len(letters) >= 3
    for letter, line in lines.items():
        assert line.startswith("Right. " if letter == right else "No. ")
        assert len(line) > 40
    assert reply(check, f" {right.upper()} ", capsys) == lines[right]
    for unanswered in (None, "z", 3, ["a"]):
        assert reply(check, unanswered, capsys).startswith("Not answered yet")


def test_what_is_not_solved_or_no_answer_at_all_is_said_so(capsys):
    assert reply(exercises.check_invert, lambda image: None, capsys).startswith("Not solved yet")
    assert reply(exercises.check_invert, lambda image: ..., capsys).startswith("Not solved yet")
    assert reply(exercises.check_window, ..., capsys).startswith("Not solved yet")
    assert "without brackets" in reply(exercises.check_n_runs, 3, capsys)
    assert "ZeroDivisionError" in reply(exercises.check_n_runs, lambda grid: 1 / 0, capsys)


ODD_ANSWERS = {
    "zero": 0,
    "words": "b c",
    "list": [],
    "dict": {},
    "nan": float("nan"),
    "dict of None": {"seed": None},
    "complex": 1j,
    "object": object(),
    "array": np.zeros((40, 3, 3)),
    "type": int,
    "text": lambda *arguments: "seven",
    "ragged": lambda *arguments: [[1], [2, 3]],
    "error": lambda *arguments: {}["two\nlines"],
}


@pytest.mark.parametrize("odd", ODD_ANSWERS)
@pytest.mark.parametrize("name", CHECKS)
def test_no_answer_stops_the_notebook(name, odd, capsys):
    line = reply(CHECKS[name], ODD_ANSWERS[odd], capsys)
    assert len(line) > 20
    assert not line.startswith("Right")


def twins():
    """Return a list that holds itself twice."""
    items = []
    items += [items, items]
    return items


class Raising:
    """Nothing can be asked of it without an error, whose text raises one, too."""

    class Error(Exception):
        def __str__(self):
            raise ValueError("no text")

    def fail(self, *_, **__):
        raise self.Error

    __eq__ = __len__ = __iter__ = __repr__ = __str__ = __bool__ = __array__ = __float__ = fail
    __getitem__ = __hash__ = __call__ = __contains__ = __index__ = __format__ = fail


class Lying:
    """It says that it is long, and gives items without end."""

    shape = (2,)

    def __len__(self):
        return 10**9

    def __getitem__(self, index):
        return 1

    def __iter__(self):
        return itertools.count()

    def __eq__(self, other):
        return True

    __hash__ = None

    def __repr__(self):
        return "x" * 10**7


class EndlessList(list):
    __iter__ = Lying.__iter__
    __len__ = Lying.__len__


class EndlessDict(dict):
    def items(self):
        return ((number, [1]) for number in itertools.count())

    def __repr__(self):
        return "x" * 10**7


BILLION = range(10**9)
ENORMOUS = {
    "range": BILLION,
    "longer range": range(10**30),
    "list of ranges": [BILLION, BILLION],
    "dict of ranges": {"evaluate_on": BILLION, "seed": BILLION, "x" * 10**7: BILLION},
    "seeds": {"evaluate_on": ["validation"], "seed": range(10**30), "epochs": [1, 2]},
    "count": itertools.count(),
    "repeat": itertools.repeat(1),
    "array": np.broadcast_to(np.float64(1), (10**6, 10**6)),
    "objects": np.broadcast_to(np.array(object()), (10**9,)),
    "text": "x" * 10**7,
    "number": 10**400,
    "longer number": 10**5000,
    "itself": twins(),
    "ragged": [[1], [[2, 3]]],
    "NaN": [float("nan"), np.nan],
    "infinity": np.full((3, 3), np.inf),
    "complex": np.full((3, 3), 1j),
    "dates": np.zeros(3, "datetime64[s]"),
    "raising": Raising(),
    "raising in a list": [Raising(), Raising()],
    "raising in a dict": {"seed": [Raising()], "evaluate_on": [Raising()]},
    "lying": Lying(),
    "lying in a dict": {"seed": [Lying()] * 2, "evaluate_on": [Lying()], "x": [1, 2]},
    "endless list": EndlessList([1, 2]),
    "endless dict": EndlessDict(seed=[1]),
    "class": Raising,
    "exit": SystemExit(),
}


def leave():
    raise SystemExit("x" * 10**7)


@pytest.mark.parametrize("odd", ENORMOUS)
@pytest.mark.parametrize("name", CHECKS)
def test_no_answer_takes_long_or_stops_the_notebook(name, odd, capsys):
    answer = ENORMOUS[odd]
    started = time.process_time()
    for given in (answer, lambda *arguments: answer, lambda *arguments: (answer, answer)):
        line = reply(CHECKS[name], given, capsys)
        assert 20 < len(line) < 400
        assert not line.startswith("Right")
    assert time.process_time() - started < 2


def test_what_an_answer_raises_is_told_in_a_short_line(capsys):
    line = reply(exercises.check_n_runs, lambda grid: leave(), capsys)
    assert line.startswith("It stops with SystemExit: xxx")
    assert len(line) < 300
    assert "KeyboardInterrupt" in reply(exercises.check_n_runs, interrupted, capsys)


def interrupted(grid):
    raise KeyboardInterrupt


class Slow:
    """Whatever is asked of it, it waits until the test is over."""

    def __init__(self, over):
        self.over = over

    def wait(self, *_, **__):
        self.over.wait(60)
        raise ValueError

    __len__ = __iter__ = __repr__ = __bool__ = __array__ = __float__ = __getitem__ = wait
    __eq__ = __call__ = wait
    __hash__ = object.__hash__


@pytest.mark.parametrize("name", CHECKS)
def test_an_answer_that_takes_long_is_not_waited_for(name, capsys, monkeypatch):
    monkeypatch.setattr(exercises, "_CHECK_SECONDS", 0.05)
    monkeypatch.setattr(exercises, "_ENDING_TRIES", 0)
    over = threading.Event()
    slow = Slow(over)
    try:
        for given in (slow, {"seed": [slow], "evaluate_on": [slow]}, lambda *arguments: [slow]):
            line = reply(CHECKS[name], given, capsys)
            assert 20 < len(line) < 400
            assert not line.startswith("Right")
    finally:
        over.set()


def test_a_loop_without_end_is_named(capsys, monkeypatch):
    monkeypatch.setattr(exercises, "_CHECK_SECONDS", 0.05)
    monkeypatch.setattr(exercises, "_ENDING_TRIES", 0)
    over = threading.Event()
    try:
        line = reply(exercises.check_invert, lambda image: over.wait(60), capsys)
    finally:
        over.set()
    assert line == (
        "No answer came within 0.05 seconds. Is there a loop that never ends? "
        "It goes on until you restart the kernel."
    )


class Endless:
    """An answer with two loops that never end, the second of them where it is quoted."""

    def __init__(self, began):
        self.began = began

    def loop(self, *_):
        self.began.set()
        while True:
            pass

    __float__ = __repr__ = loop


@pytest.mark.parametrize("way", ["too long", "interrupted"])
def test_a_loop_without_end_takes_no_more_time(way, capsys, monkeypatch):
    monkeypatch.setattr(exercises, "_CHECK_SECONDS", 0.5)
    began = threading.Event()
    endless = Endless(began)
    before = set(threading.enumerate())
    if way == "too long":
        line = reply(exercises.check_invert, lambda image: endless, capsys)
        assert line.endswith("Is there a loop that never ends? It was stopped.")
    else:
        queue = SimpleNamespace(get=lambda timeout: interrupt(began), put=lambda line: None)
        monkeypatch.setattr(exercises.queue, "SimpleQueue", lambda: queue)
        with pytest.raises(KeyboardInterrupt):
            exercises.check_invert(endless.loop)
    for thread in set(threading.enumerate()) - before:
        thread.join(20)
        assert not thread.is_alive()
    assert began.is_set()


def interrupt(began):
    began.wait(20)
    raise KeyboardInterrupt


def test_a_check_leaves_what_it_is_given_as_it_was(capsys):
    def spoil(labels):
        labels[:] = 7
        return 99

    first = reply(exercises.check_count_sevens, spoil, capsys)
    second = reply(exercises.check_count_sevens, spoil, capsys)
    assert first == second
    assert not first.startswith("Right")
