"""Each check takes unusual right answers, and refuses what is right by accident alone.

The tables say what each answer is. They stand beside those of test_exercises.py, which hold the
typical mistakes and the other usual ways.
"""

import collections
import decimal
import fractions
import functools
import itertools
import math
import random
import statistics
import threading
import time
from pathlib import Path

import numpy as np
import pytest
import yaml
from scipy import stats
from sklearn.model_selection import ParameterGrid

from mnist_helpers import exercises

CHECKS = {name: check for name, check in vars(exercises).items() if name.startswith("check_")}

Two = collections.namedtuple("Two", ["first", "second"])


def reply(name, answer, capsys):
    """Return what a check prints: one line."""
    capsys.readouterr()
    assert CHECKS[f"check_{name}"](answer) is None
    printed = capsys.readouterr()
    assert printed.err == ""
    (line,) = printed.out.splitlines()
    assert 20 < len(line) < 400
    # A check's own error, told as if it were the answer's.
    assert not line.startswith("This cannot be an answer")
    return line


@pytest.fixture(scope="module", autouse=True)
def keras_at_work():
    """Import Keras before any check does, whose seconds are limited, and let it compute once."""
    import keras

    keras.ops.mean(keras.ops.ones(2))


# --- right in an unusual way -------------------------------------------------------------------


def invert_by_loops(image):
    inverted = [[0] * 28 for _ in range(28)]
    for row in range(28):
        for column in range(28):
            inverted[row][column] = 255 - int(image[row, column])
    return inverted


def invert_in_place(image):
    np.subtract(255, image, out=image)
    return image


def invert_with_keras(image):
    from keras import ops

    return 255 - ops.cast(image, "float32")


class Inverter:
    def __call__(self, image):
        return 255 - image


def count_with_loop(labels):
    n_sevens = 0
    for label in labels:
        if label == 7:
            n_sevens += 1
    return n_sevens


def average_by_loops(images, labels, digit):
    total = np.zeros((28, 28))
    n_images = 0
    for image, label in zip(images, labels, strict=True):
        if label == digit:
            total += image
            n_images += 1
    return (total / n_images).tolist()


def average_with_keras(images, labels, digit):
    from keras import ops

    return ops.mean(ops.cast(images[labels == digit], "float32"), axis=0)


def count_with_keras(sizes):
    import keras

    layers = [keras.layers.Dense(units) for units in sizes[1:]]
    return keras.Sequential([keras.Input((sizes[0],)), *layers]).count_params()


def count_by_popping(sizes):
    total = 0
    while len(sizes) > 1:
        n_inputs = sizes.pop(0)
        total += (n_inputs + 1) * sizes[0]
    return total


def shuffle_in_place(images, labels):
    state = np.random.get_state()
    np.random.shuffle(images)
    np.random.set_state(state)
    np.random.shuffle(labels)
    return images, labels


def shuffle_by_random_numbers(images, labels):
    order = np.argsort(np.random.default_rng().random(len(labels)))
    return Two(images[order], labels[order])


def shuffle_lists(images, labels):
    order = random.sample(range(len(labels)), len(labels))
    return [images[i].tolist() for i in order], [int(labels[i]) for i in order]


def shuffle_in_float32(images, labels):
    order = np.random.default_rng().permutation(len(labels))
    return images[order].astype("float32"), labels[order].astype("uint8")


def shuffle_with_sklearn(images, labels):
    from sklearn.utils import shuffle

    return shuffle(images, labels)


def shuffle_as_one_table(images, labels):
    table = np.column_stack([images, labels])
    np.random.default_rng().shuffle(table)
    return table[:, :-1], table[:, -1]


def loss_with_keras(probabilities, one_hot):
    import keras

    return keras.losses.CategoricalCrossentropy()(one_hot, probabilities)


def loss_by_loops(probabilities, one_hot):
    total = 0.0
    for row, target in zip(probabilities, one_hot, strict=True):
        total -= math.log(row[list(target).index(1)])
    return total / len(one_hot)


def loss_in_place(probabilities, one_hot):
    probabilities *= one_hot
    return -np.log(probabilities.sum(axis=1)).mean()


def convolution_with_keras(n_filters, side, depth):
    import keras

    layer = keras.layers.Conv2D(n_filters, side)
    layer.build((None, 28, 28, depth))
    return layer.count_params()


def runs_by_recursion(grid):
    lengths = [len(values) for values in grid.values()]
    if len(lengths) == 1:
        return lengths[0]
    first = next(iter(grid))
    return len(grid[first]) * runs_by_recursion({key: grid[key] for key in grid if key != first})


def runs_by_popping(grid):
    n_runs = 1
    while grid:
        n_runs *= len(grid.popitem()[1])
    return n_runs


def interval_by_hand(a, b):
    differences = [float(x - y) for x, y in zip(a, b, strict=True)]
    error = statistics.stdev(differences) / math.sqrt(len(differences))
    t = stats.t.isf(0.025, len(differences) - 1)
    mean = statistics.fmean(differences)
    return mean - t * error, mean + t * error


def network(*last, functional=False):
    import keras

    inputs = keras.Input((28, 28, 1))
    layers = [keras.layers.Flatten(), *last]
    if not functional:
        return keras.Sequential([inputs, *layers])
    outputs = inputs
    for layer in layers:
        outputs = layer(outputs)
    return keras.Model(inputs, outputs)


def softmax_apart():
    from keras import layers

    return network(layers.Dense(10), layers.Softmax())


def softmax_functional():
    from keras import layers

    return network(layers.Dense(10), layers.Activation("softmax"), functional=True)


def softmax_in(dtype):
    from keras import layers

    return network(layers.Dense(10, activation="softmax", dtype=dtype))


def softmax_subclass():
    import keras

    class Reader(keras.Model):
        def __init__(self):
            super().__init__()
            self.dense = keras.layers.Dense(10)

        def call(self, images):
            return keras.ops.softmax(self.dense(keras.ops.reshape(images, (-1, 784))))

    return Reader()


FAIR = {"dropout": [0.0, 0.2, 0.5], "seed": [1, 2, 3], "evaluate_on": ["validation"]}
LEFT_EDGES = [[-1, 0, 1], [-1, 0, 1], [-1, 0, 1]]

RIGHT = {
    "invert": {
        "a NumPy function": np.invert,
        "its other name": np.bitwise_not,
        "exclusive or": lambda image: image ^ 255,
        "a table of all gray levels": lambda image: np.arange(255, -1, -1)[image],
        "float32": lambda image: np.float32(255) - image,
        "float16": lambda image: (255 - image).astype("float16"),
        "integers": lambda image: 255 - image.astype("int64"),
        "shares": lambda image: 255 * (1 - image / 255),
        "minus and add": lambda image: -image.astype(int) + 255,
        "loops over 28 rows and columns": invert_by_loops,
        "in place": invert_in_place,
        "Keras": invert_with_keras,
        "an object that is called": Inverter(),
        "a partial function": functools.partial(np.subtract, 255),
        "objects": lambda image: 255 - image.astype(object),
        "fractions": lambda image: [
            [fractions.Fraction(255 - int(x)) for x in row] for row in image
        ],
        "nothing masked": lambda image: np.ma.masked_array(255 - image),
        "an array class": lambda image: np.asmatrix(255 - image),
    },
    "count_sevens": {
        "Python's sum": lambda labels: sum(label == 7 for label in labels),
        "a loop": count_with_loop,
        "count_nonzero": lambda labels: np.count_nonzero(labels == 7),
        "the chosen ones": lambda labels: len(labels[labels == 7]),
        "their places": lambda labels: len(np.where(labels == 7)[0]),
        "flatnonzero": lambda labels: np.flatnonzero(labels == 7).size,
        "bincount": lambda labels: np.bincount(labels, minlength=8)[7],
        "a Counter": lambda labels: collections.Counter(labels.tolist())[7],
        "a share times all": lambda labels: (labels == 7).mean() * len(labels),
        "float32": lambda labels: np.float32((labels == 7).sum()),
        "decimal": lambda labels: decimal.Decimal(int((labels == 7).sum())),
        "an array without axes": lambda labels: np.array((labels == 7).sum()),
        "sorted": lambda labels: np.diff(np.searchsorted(np.sort(labels), [7, 8]))[0],
        "a named function": lambda labels: operator_count(labels),
    },
    "average": {
        "loops": average_by_loops,
        "Keras": average_with_keras,
        "float32": lambda x, y, d: x[y == d].mean(axis=0, dtype="float32"),
        "rounded": lambda x, y, d: x[y == d].mean(axis=0).round().astype(int),
        "cut to uint8": lambda x, y, d: x[y == d].mean(axis=0).astype("uint8"),
        "float16": lambda x, y, d: x[y == d].mean(axis=0).astype("float16"),
        "sum by number": lambda x, y, d: x[y == d].sum(axis=0) / (y == d).sum(),
        "as a product": lambda x, y, d: np.einsum("i,ijk", y == d, x / 1.0) / (y == d).sum(),
        "weights": lambda x, y, d: np.average(x, axis=0, weights=y == d),
        "places": lambda x, y, d: np.take(x, np.flatnonzero(y == d), axis=0).mean(0),
        "masked": lambda x, y, d: masked_average(x, y, d),
        "a list": lambda x, y, d: x[y == d].mean(axis=0).tolist(),
    },
    "count_parameters": {
        "Keras": count_with_keras,
        "taking the list apart": count_by_popping,
        "dot product": lambda sizes: np.dot(np.array(sizes[:-1]) + 1, sizes[1:]),
        "range": lambda s: sum((s[i] + 1) * s[i + 1] for i in range(len(s) - 1)),
        "float32": lambda s: np.float32(sum((a + 1) * b for a, b in itertools.pairwise(s))),
        "int32": lambda s: np.int32(sum((a + 1) * b for a, b in itertools.pairwise(s))),
        "map": lambda s: sum(map(lambda a, b: a * b + b, s, s[1:])),
        "reduce": lambda s: functools.reduce(
            lambda n, p: n + (p[0] + 1) * p[1], itertools.pairwise(s), 0
        ),
        "weights and biases": lambda s: (
            sum(a * b for a, b in itertools.pairwise(s)) + sum(s) - s[0]
        ),
        "recursion": lambda s: recursive_count(s),
    },
    "shuffle": {
        "in place, one state twice": shuffle_in_place,
        "places of random numbers": shuffle_by_random_numbers,
        "lists": shuffle_lists,
        "float32 and uint8": shuffle_in_float32,
        "scikit-learn": shuffle_with_sklearn,
        "one table": shuffle_as_one_table,
        "NumPy's old functions": lambda x, y: both_by(np.random.permutation(len(y)), x, y),
        "a random choice without replacement": lambda x, y: both_by(
            np.random.choice(len(y), len(y), replace=False), x, y
        ),
        "take": lambda x, y: tuple(
            np.take(array, order, axis=0)
            for order in [np.random.permutation(len(y))]
            for array in (x, y)
        ),
        "one seed each time": lambda x, y: both_by(
            np.random.default_rng(1).permutation(len(y)), x, y
        ),
    },
    "crossentropy": {
        "Keras": loss_with_keras,
        "loops": loss_by_loops,
        "in place": loss_in_place,
        "chosen by a mask": lambda p, y: -np.log(p[y == 1]).mean(),
        "chosen by places": lambda p, y: -np.log(p[range(len(y)), y.argmax(1)]).mean(),
        "all entries": lambda p, y: -(y * np.log(p)).sum(axis=1).mean(),
        "float32": lambda p, y: -np.log((p * y).sum(axis=1), dtype="float32").mean(),
        "scikit-learn": lambda p, y: log_loss(p, y),
        "SciPy": lambda p, y: stats.entropy(y, p, axis=1).mean(),
        "einsum": lambda p, y: -np.einsum("ij,ij", y, np.log(p)) / len(p),
        "log of base 2, brought back": lambda p, y: -np.log2(p[y == 1]).mean() * np.log(2),
    },
    "window": {
        "a list": LEFT_EDGES,
        "a tuple": tuple(map(tuple, LEFT_EDGES)),
        "Sobel": [[-1, 0, 1], [-2, 0, 2], [-1, 0, 1]],
        "Scharr": [[-3, 0, 3], [-10, 0, 10], [-3, 0, 3]],
        "one row of weights": [[0, 0, 0], [-1, 0, 1], [0, 0, 0]],
        "not symmetric": [[-2, 1, 1]] * 3,
        "nothing on the right": [[-1, 1, 0]] * 3,
        "nothing on the left": [[0, -1, 1]] * 3,
        "thirds in float32": np.array([[-1, 2 / 3, 1 / 3]] * 3, "float32"),
        "tiny": 1e-9 * np.array(LEFT_EDGES),
        "huge": 1e300 * np.array(LEFT_EDGES),
        "a layer's shape": np.array(LEFT_EDGES, "float32")[:, :, None, None],
        "int8": np.array(LEFT_EDGES, "int8"),
        "objects": np.array(LEFT_EDGES, object),
    },
    "conv_parameters": {
        "Keras": convolution_with_keras,
        "float": lambda n, side, depth: n * (side**2.0 * depth + 1),
        "NumPy": lambda n, side, depth: np.prod([n, side, side, depth]) + n,
        "float32": lambda n, side, depth: np.float32(n * side * side * depth + n),
        "an array's size": lambda n, s, depth: np.zeros((n, s, s, depth)).size + np.zeros(n).size,
        "a sum": lambda n, side, depth: sum(side * side * depth + 1 for _ in range(n)),
        "other names": lambda a, b, c: a * (b * b * c + 1),
        "any arguments": lambda *sizes: sizes[0] * (sizes[1] ** 2 * sizes[2] + 1),
        "math": lambda n, side, depth: n * (math.prod([side, side, depth]) + 1),
        "decimal": lambda n, side, depth: decimal.Decimal(n * (side * side * depth + 1)),
    },
    "output_layer": {
        "softmax as a layer": softmax_apart,
        "a functional model": softmax_functional,
        "a class of one's own": softmax_subclass,
        "bfloat16": lambda: softmax_in("mixed_bfloat16"),
        "float16": lambda: softmax_in("mixed_float16"),
    },
    "n_runs": {
        "product": lambda grid: len(list(itertools.product(*grid.values()))),
        "scikit-learn": lambda grid: len(ParameterGrid(grid)),
        "math": lambda grid: math.prod(len(values) for values in grid.values()),
        "NumPy": lambda grid: np.prod([len(values) for values in grid.values()]),
        "map": lambda grid: math.prod(map(len, grid.values())),
        "recursion": runs_by_recursion,
        "taking the grid apart": runs_by_popping,
        "float32": lambda grid: np.float32(math.prod(map(len, grid.values()))),
        "an array's size": lambda grid: np.zeros([len(grid[name]) for name in grid]).size,
        "reduce": lambda grid: functools.reduce(lambda n, v: n * len(v), grid.values(), 1),
    },
    "fair": {
        "two shares": FAIR | {"dropout": [0.1, 0.3]},
        "a tuple": FAIR | {"dropout": (0.0, 0.2, 0.5)},
        "a range of seeds": FAIR | {"seed": range(5)},
        "NumPy scalars": FAIR
        | {"dropout": list(np.linspace(0, 0.5, 3)), "seed": list(np.arange(3))},
        "a whole number": FAIR | {"dropout": [0, 0.5]},
        "NumPy text": FAIR | {"evaluate_on": [np.str_("validation")]},
        "epochs beside": FAIR | {"epochs": [5]},
        "a list as a value": FAIR | {"kernel_sizes": [[5, 3]]},
        "an ordered dict": collections.OrderedDict(FAIR),
        "a default dict": collections.defaultdict(list, FAIR),
        "another order": dict(reversed(FAIR.items())),
    },
    "paired_interval": {
        "by hand": interval_by_hand,
        "scipy, related": lambda a, b: stats.ttest_rel(a, b).confidence_interval(),
        "scipy's interval": lambda a, b: stats.t.interval(
            0.95, len(a) - 1, (a - b).mean(), stats.sem(a - b)
        ),
        "a list": lambda a, b: list(interval_by_hand(a, b)),
        "an array": lambda a, b: np.array(interval_by_hand(a, b)),
        "float32": lambda a, b: np.float32(interval_by_hand(a, b)),
        "a named tuple": lambda a, b: Two(*interval_by_hand(a, b)),
        "rounded": lambda a, b: np.round(interval_by_hand(a, b), 3),
        "strings of NumPy numbers": lambda a, b: [
            np.float64(end) for end in interval_by_hand(a, b)
        ],
        "decimal": lambda a, b: [decimal.Decimal(end) for end in interval_by_hand(a, b)],
    },
}


def operator_count(labels):
    import operator

    return operator.countOf(labels, 7)


def masked_average(images, labels, digit):
    mask = np.broadcast_to((labels != digit)[:, None, None], images.shape)
    return np.ma.masked_array(images, mask).mean(axis=0)


def recursive_count(sizes):
    if len(sizes) == 1:
        return 0
    return (sizes[0] + 1) * sizes[1] + recursive_count(sizes[1:])


def both_by(order, images, labels):
    return images[order], labels[order]


def log_loss(probabilities, one_hot):
    from sklearn import metrics

    classes = range(one_hot.shape[1])
    return metrics.log_loss(one_hot.argmax(axis=1), probabilities, labels=classes)


# --- wrong in an unusual way -------------------------------------------------------------------


def memory():
    """Return a function that knows the first images, and gives them back whatever comes."""
    seen = []

    def average(images, labels, digit):
        seen.append(images[labels == digit].mean(axis=0))
        return seen[0]

    return average


def exchange_two(images, labels):
    order = np.arange(len(labels))
    order[[0, 1]] = [1, 0]
    return images[order], labels[order]


def neighbors_exchanged(images, labels):
    n_pairs = len(labels) // 2
    order = np.arange(len(labels))
    order[0 : 2 * n_pairs : 2] += 1
    order[1 : 2 * n_pairs : 2] -= 1
    return images[order], labels[order]


def half_mixed(images, labels):
    order = np.arange(len(labels))
    np.random.default_rng().shuffle(order[: len(order) // 2])
    return images[order], labels[order]


def pixels_mixed(images, labels):
    order = np.random.default_rng().permutation(len(labels))
    mixed = images[order]
    mixed[:, 1:] = mixed[:, :0:-1]
    return mixed, labels[order]


def images_alone(images, labels):
    order = np.random.default_rng().permutation(len(labels))
    return images[order], np.roll(labels, 1)


def labels_numbered(images, labels):
    order = np.random.default_rng().permutation(len(labels))
    return images[order], order


def sum_in_uint8(labels):
    return (labels == 7).sum(dtype="uint8")


def destroy_and_compare(labels):
    labels[:] = 7
    return len(labels)


def first_seed_only(grid):
    return 15 if "epochs" in grid and "dropout" in grid else 2


WRONG = {
    "invert": {
        "from the brightest pixel": lambda image: image.max() - image,
        "between darkest and brightest": lambda image: image.max() + image.min() - image,
        "off by one": lambda image: 254.0 - image,
        "black and white alone": lambda image: np.where(image == 0, 255, 0),
        "half of it": lambda image: 255 - image // 2,
        "turned": lambda image: (255 - image).T,
        "as a batch": lambda image: (255 - image)[None],
        "broadcasts": lambda image: (255 - image)[:1],
        "a row": lambda image: (255 - image).ravel(),
        "shares": lambda image: 1 - image / 255,
        "int8": lambda image: (255 - image).astype("int8"),
        "text": lambda image: (255 - image).astype(str),
        "lists of text": lambda image: [[str(255 - x) for x in row] for row in image],
        "complex": lambda image: 255 - image + 0j,
        "all masked": lambda image: np.ma.masked_array(255 - image, True),
        "noise": lambda image: np.random.default_rng().integers(0, 256, image.shape),
        "nothing but NaN": lambda image: np.full(image.shape, np.nan),
        "of another exercise": lambda labels: (labels == 7).sum(),
        "a generator": lambda image: (row for row in 255 - image),
        "bytes": lambda image: (255 - image).tobytes(),
    },
    "count_sevens": {
        "seven and more": lambda labels: (labels >= 7).sum(),
        "whole sevens": lambda labels: (labels // 7).sum(),
        "what seven divides": lambda labels: (labels % 7 == 0).sum(),
        "the first answer": lambda labels: 3,
        "odd": lambda labels: (labels % 2).sum(),
        "by length": lambda labels: {5: 3, 2: 0}.get(len(labels), 1),
        "any": lambda labels: (labels == 7).any(),
        "two of them": lambda labels: (labels == 7)[:2].sum(),
        "in a list": lambda labels: [(labels == 7).sum()],
        "in an array": lambda labels: np.array([(labels == 7).sum()]),
        "in a tuple": lambda labels: labels[labels == 7].shape,
        "text": lambda labels: str((labels == 7).sum()),
        "complex": lambda labels: (labels == 7).sum() + 0j,
        "sum in uint8": sum_in_uint8,
        "destroys the labels": destroy_and_compare,
        "different ones": lambda labels: len(set(labels.tolist())),
        "plus one": lambda labels: (labels == 7).sum() + 1,
        "of another exercise": lambda images, labels, digit: images,
    },
    "average": {
        "no digit asked": lambda x, y, d: x[y == 3].mean(axis=0),
        "the first digit met": lambda x, y, d: x[y == y[0]].mean(axis=0),
        "the same as before": memory(),
        "the first image": lambda x, y, d: x[y == d][0],
        "the median": lambda x, y, d: np.median(x[y == d], axis=0),
        "the middle of the range": lambda x, y, d: x[y == d].max(0) / 2 + x[y == d].min(0) / 2,
        "one too many": lambda x, y, d: x[y == d].sum(axis=0) / ((y == d).sum() + 1),
        "half a level off": lambda x, y, d: x[y == d].mean(axis=0) + 0.5,
        "sum in uint8": lambda x, y, d: x[y == d].sum(axis=0, dtype="uint8") / (y == d).sum(),
        "turned": lambda x, y, d: x[y == d].mean(axis=0).T,
        "with an axis": lambda x, y, d: x[y == d].mean(axis=0, keepdims=True),
        "a column": lambda x, y, d: x[y == d].mean(axis=(0, 1)),
        "shares": lambda x, y, d: x[y == d].mean(axis=0) / 255,
        "text": lambda x, y, d: x[y == d].mean(axis=0).astype(str),
        "the others": lambda x, y, d: x[y != d].mean(axis=0),
        "a shape that is right": lambda x, y, d: np.zeros((int((y == d).sum()), 28, 28)),
    },
    "count_parameters": {
        "a layer alone": lambda s: (s[0] + 1) * s[-1],
        "the first numbers": lambda s: {2: 7850, 3: 25450, 4: 669706}.get(len(s)),
        "784 inputs": lambda s: sum((a + 1) * b for a, b in itertools.pairwise([784, *s[1:]])),
        "10 outputs": lambda s: sum((a + 1) * b for a, b in itertools.pairwise([*s[:-1], 10])),
        "three layers at most": lambda s: sum((a + 1) * b for a, b in itertools.pairwise(s[:4])),
        "in a list": lambda s: [sum((a + 1) * b for a, b in itertools.pairwise(s))],
        "text": lambda s: str(sum((a + 1) * b for a, b in itertools.pairwise(s))),
        "with commas": lambda s: f"{sum((a + 1) * b for a, b in itertools.pairwise(s)):,}",
        "float16": lambda s: np.float16(sum((a + 1) * b for a, b in itertools.pairwise(s))),
        "one too many": lambda s: sum((a + 1) * b for a, b in itertools.pairwise(s)) + 1,
        "an infinity": lambda s: math.inf,
        "a layer each": lambda s: [(a + 1) * b for a, b in itertools.pairwise(s)],
        "a generator": lambda s: ((a + 1) * b for a, b in itertools.pairwise(s)),
        "product": math.prod,
        "sum": sum,
    },
    "shuffle": {
        "two exchanged": exchange_two,
        "neighbors exchanged": neighbors_exchanged,
        "half of it": half_mixed,
        "backwards": lambda x, y: (x[::-1], y[::-1]),
        "pushed on": lambda x, y: (np.roll(x, 1, axis=0), np.roll(y, 1)),
        "every second first": lambda x, y: (np.r_[x[::2], x[1::2]], np.r_[y[::2], y[1::2]]),
        "sorted": lambda x, y: both_by(y.argsort(), x, y),
        "sorted backwards": lambda x, y: both_by((-y).argsort(), x, y),
        "fifty": lambda x, y: both_by(np.random.permutation(50), x, y),
        "labels the other way": lambda x, y: both_by(np.random.permutation(len(y)), x, y)[::-1],
        "pixels, too": pixels_mixed,
        "images alone": images_alone,
        "the order instead of labels": labels_numbered,
        "one too few": lambda x, y: both_by(np.random.permutation(len(y))[1:], x, y),
        "three things": lambda x, y: (*both_by(np.random.permutation(len(y)), x, y), 1),
        "text": lambda x, y: tuple(
            a.astype(str) for a in both_by(np.random.permutation(len(y)), x, y)
        ),
        "labels in a column": lambda x, y: (x[::-1], y[::-1, None]),
        "a dict": lambda x, y: {"images": x[::-1], "labels": y[::-1]},
        "two that broadcast": lambda x, y: (x[:1], y[:1]),
    },
    "crossentropy": {
        "the most probable": lambda p, y: -np.log(p.max(axis=1)).mean(),
        "the first class": lambda p, y: -np.log(p[:, 0]).mean(),
        "the first example": lambda p, y: 0.6191,
        "three classes": lambda p, y: -(y * np.log(p)).sum() / (y.size / 3),
        "four digits": lambda p, y: -(y * np.log(p)).sum() / 4,
        "all classes": lambda p, y: -np.log(p).mean(),
        "binary": lambda p, y: -(y * np.log(p) + (1 - y) * np.log(1 - p)).sum(axis=1).mean(),
        "log of the mean": lambda p, y: -np.log((p * y).sum(axis=1).mean()),
        "rounded to one place": lambda p, y: round(float(-np.log(p[y == 1]).mean()), 1),
        "in a list": lambda p, y: [-np.log(p[y == 1]).mean()],
        "complex": lambda p, y: -np.log(p[y == 1]).mean() + 0j,
        "text": lambda p, y: str(-np.log(p[y == 1]).mean()),
        "median": lambda p, y: np.median(-np.log(p[y == 1])),
        "accuracy": lambda p, y: (p.argmax(1) == y.argmax(1)).mean(),
        "exponent": lambda p, y: np.exp(-np.log(p[y == 1]).mean()),
    },
    "window": {
        "of zeros": np.zeros((3, 3)),
        "tiny ones": np.full((3, 3), 1e-9),
        "tiny, with a sum": 1e-8 * np.array([[-1, 0, 2]] * 3),
        "a middle line": [[-1, 2, -1]] * 3,
        "right edges": [[1, 0, -1]] * 3,
        "upper edges": np.transpose(LEFT_EDGES),
        "a corner": [[-1, 0, 0], [0, 0, 0], [0, 0, 1]],
        "text": [["-1", "0", "1"]] * 3,
        "array of text": np.array(LEFT_EDGES).astype(str),
        "complex": np.array(LEFT_EDGES) + 0j,
        "NaN": np.array(LEFT_EDGES) * np.nan,
        "infinite": np.array([[-1, 0, np.inf]] * 3),
        "five wide": [[-1, 0, 0, 0, 1]] * 5,
        "a row": [-1, 0, 1],
        "several": np.stack([LEFT_EDGES, LEFT_EDGES]),
        "a function": lambda: LEFT_EDGES,
        "all masked": np.ma.masked_array(LEFT_EDGES, True),
    },
    "conv_parameters": {
        "the text's two": lambda n, side, depth: {30: 780, 15: 4065}.get(n, 0),
        "no side": lambda n, side, depth: n * ({5: 25, 3: 9}.get(side, 1) * depth + 1),
        "side times two": lambda n, side, depth: n * (2 * side * depth + 1),
        "in an array": lambda n, side, depth: np.array([n * (side * side * depth + 1)]),
        "text": lambda n, side, depth: str(n * (side * side * depth + 1)),
        "one too many": lambda n, side, depth: n * (side * side * depth + 1) + 1,
        "arguments exchanged": lambda depth, side, n: n * (side * side * depth + 1),
        "a pair": lambda n, side, depth: (n * side * side * depth, n),
        "infinite": lambda n, side, depth: float("inf"),
        "a huge number": lambda n, side, depth: 10**400,
        "all places": lambda n, side, depth: n * (28 - side + 1) ** 2,
        "negative": lambda n, side, depth: -n * (side * side * depth + 1),
        "complex": lambda n, side, depth: n * (side * side * depth + 1) + 0j,
        "a set": lambda n, side, depth: {n * (side * side * depth + 1)},
        "float16": lambda n, side, depth: np.float16(n * (side * side * depth + 1)),
    },
    "output_layer": {
        "a function": lambda: lambda images: np.full((20, 10), 0.1),
        "an array": lambda: np.full((20, 10), 0.1),
        "a class": lambda: Inverter,
        "text": lambda: "softmax",
        "over the batch": lambda: over_the_batch(),
        "two networks in one": lambda: two_outputs(),
        "eleven": lambda: network(last_dense(11)),
        "tanh": lambda: network(last_dense(10, "tanh")),
        "exponential": lambda: network(last_dense(10, "exponential")),
        "of vectors": lambda: of_vectors(),
        "a layer": lambda: last_dense(10),
    },
    "n_runs": {
        "the first grid's": first_seed_only,
        "two of them": lambda grid: math.prod(len(v) for v in list(grid.values())[:2]),
        "seeds alone": lambda grid: len(grid["seed"]),
        "without the last": lambda grid: math.prod(len(v) for v in list(grid.values())[:-1]),
        "the combinations": lambda grid: list(itertools.product(*grid.values())),
        "an iterator of them": lambda grid: itertools.product(*grid.values()),
        "text": lambda grid: str(math.prod(map(len, grid.values()))),
        "in a list": lambda grid: [math.prod(map(len, grid.values()))],
        "power": lambda grid: max(map(len, grid.values())) ** len(grid),
        "one too many": lambda grid: math.prod(map(len, grid.values())) + 1,
        "running products": lambda grid: np.cumprod([len(v) for v in grid.values()]),
        "True": lambda grid: True,
        "0": lambda grid: 0,
        "NaN": lambda grid: math.nan,
        "pairs": lambda grid: len(grid) * (len(grid) - 1),
    },
    "fair": {
        "one share twice": FAIR | {"dropout": [0.2, 0.2]},
        "one share three times in two kinds": FAIR | {"dropout": [0, 0.0, False]},
        "one share of three twice": FAIR | {"dropout": [0.0, 0.2, 0.2]},
        "seeds as text": FAIR | {"seed": ["1", "2"]},
        "one seed as text": FAIR | {"seed": [1, "1"]},
        "one seed in two kinds": FAIR | {"seed": [1, 1.0, True]},
        "seeds that are none": FAIR | {"seed": [0.5, 1.5]},
        "seeds below 0": FAIR | {"seed": [-1, -2]},
        "seeds of NaN": FAIR | {"seed": [math.nan, math.nan]},
        "seeds in a list too many": FAIR | {"seed": [[1, 2, 3]]},
        "one of the seeds twice": FAIR | {"seed": [1, 2, 2]},
        "no dropout": {"epochs": [5, 10], "seed": [1, 2], "evaluate_on": ["validation"]},
        "another name": {"dropouts": [0.0, 0.2], "seed": [1, 2], "evaluate_on": ["validation"]},
        "an empty list beside": FAIR | {"epochs": []},
        "shares as text": FAIR | {"dropout": ["0.0", "0.2"]},
        "in percent": FAIR | {"dropout": [0, 20, 50]},
        "shares below 0": FAIR | {"dropout": [-0.1, 0.2]},
        "shares of NaN": FAIR | {"dropout": [math.nan, 0.2]},
        "true and false": FAIR | {"dropout": [True, False]},
        "both sets of digits": FAIR | {"evaluate_on": ["validation", "test"]},
        "validation twice": FAIR | {"evaluate_on": ["validation", "validation"]},
        "another spelling": FAIR | {"evaluate_on": ["Validation"]},
        "names that are numbers": FAIR | {5: [1]},
        "a set": FAIR | {"seed": {1, 2}},
        "an array": FAIR | {"seed": np.arange(3)},
        "a generator": FAIR | {"seed": iter([1, 2])},
        "pairs": list(FAIR.items()),
        "a function": lambda: FAIR,
    },
    "paired_interval": {
        "t of five": lambda a, b: fixed_t(a, b, 2.7764451),
        "1.96": lambda a, b: fixed_t(a, b, 1.96),
        "one more free": lambda a, b: fixed_t(a, b, stats.t.ppf(0.975, len(a))),
        "on one side": lambda a, b: fixed_t(a, b, stats.t.ppf(0.95, len(a) - 1)),
        "the first example": lambda a, b: interval_by_hand(
            np.array([98.7, 98.9, 98.8, 98.6, 98.9]), np.array([98.5, 98.8, 98.5, 98.5, 98.6])
        ),
        "exchanged": lambda a, b: interval_by_hand(a, b)[::-1],
        "no t": lambda a, b: fixed_t(a, b, 1),
        "mean and reach": lambda a, b: ((a - b).mean(), stats.sem(a - b)),
        "with the mean": lambda a, b: (*interval_by_hand(a, b), (a - b).mean()),
        "text": lambda a, b: [str(end) for end in interval_by_hand(a, b)],
        "complex": lambda a, b: np.array(interval_by_hand(a, b)) + 0j,
        "a column": lambda a, b: np.array(interval_by_hand(a, b))[:, None],
        "a set": lambda a, b: set(interval_by_hand(a, b)),
        "a generator": lambda a, b: (end for end in interval_by_hand(a, b)),
        "smallest and largest": lambda a, b: ((a - b).min(), (a - b).max()),
        "shares": lambda a, b: np.array(interval_by_hand(a, b)) / 100,
    },
}


def fixed_t(a, b, t):
    mean = (a - b).mean()
    reach = t * stats.sem(a - b)
    return mean - reach, mean + reach


def last_dense(units, activation="softmax"):
    import keras

    return keras.layers.Dense(units, activation=activation)


def over_the_batch():
    import keras

    return network(keras.layers.Dense(10), keras.layers.Softmax(axis=0))


def two_outputs():
    import keras

    inputs = keras.Input((28, 28, 1))
    flat = keras.layers.Flatten()(inputs)
    return keras.Model(inputs, [last_dense(10)(flat), last_dense(10)(flat)])


def of_vectors():
    import keras

    return keras.Sequential([keras.Input((784,)), last_dense(10)])


def named_answers(table):
    return [(name, label) for name, named in table.items() for label in named]


def answer_of(table, name, label):
    answer = table[name][label]
    # Networks are built only where they are needed, since importing Keras takes seconds.
    if name == "output_layer":
        return answer()
    return answer


def test_each_check_of_code_has_its_odd_answers():
    choices = yaml.safe_load(Path(exercises.__file__).with_name("choices.yaml").read_text("utf-8"))
    with_code = {name.removeprefix("check_") for name in CHECKS} - set(choices) - {"flattery"}
    assert set(RIGHT) == set(WRONG) == with_code
    assert all(len(answers) >= 10 for answers in WRONG.values())


@pytest.mark.parametrize(("name", "label"), named_answers(RIGHT))
def test_an_unusual_right_answer_is_right(name, label, capsys):
    assert reply(name, answer_of(RIGHT, name, label), capsys).startswith("Right. ")


@pytest.mark.parametrize(("name", "label"), named_answers(WRONG))
def test_what_is_right_by_accident_is_refused(name, label, capsys):
    assert not reply(name, answer_of(WRONG, name, label), capsys).startswith("Right")


# --- answers that do something else, too -------------------------------------------------------


def doing(act):
    """Return a right answer to `check_invert` that does something else before."""

    def invert(image):
        act()
        return 255 - image

    return invert


@pytest.mark.parametrize(
    "act",
    [
        lambda: np.seterr(all="raise"),
        lambda: np.set_printoptions(threshold=2, linewidth=1),
        lambda: np.random.seed(0),
        lambda: random.seed(0),
    ],
)
def test_what_an_answer_sets_makes_no_difference(act, capsys):
    state = np.random.get_state()
    before = np.geterr()
    options = np.get_printoptions()
    try:
        assert reply("invert", doing(act), capsys).startswith("Right. ")
        line = reply("count_sevens", lambda labels: (act(), 2)[1], capsys)
        assert line == "For the 5 labels 7, 1, 7, 3, 7 it says 2. Count the sevens by eye."
        assert np.geterr() == before
    finally:
        np.set_printoptions(**options)
        np.random.set_state(state)


def test_no_answer_foresees_the_examples(capsys):
    # Both generators start anew in each call; what is drawn in the check does not come from them.
    seen = []

    def invert(image):
        np.random.seed(0)
        random.seed(0)
        seen.append(image.tobytes())
        return 255 - image

    reply("invert", invert, capsys)
    reply("invert", invert, capsys)
    n_fixed = 1
    assert len(set(seen)) == len(seen) - n_fixed


@pytest.mark.parametrize(
    ("name", "answer"),
    [
        ("invert", invert_in_place),
        ("count_parameters", count_by_popping),
        ("shuffle", shuffle_in_place),
        ("crossentropy", loss_in_place),
        ("n_runs", runs_by_popping),
    ],
)
def test_an_answer_that_changes_what_it_is_given_is_told_so(name, answer, capsys):
    line = reply(name, answer, capsys)
    assert line.startswith("Right. ")
    assert "One thing more: it changes what it is given." in line


def test_an_answer_that_changes_nothing_is_told_nothing_of_it(capsys):
    for name in ("invert", "count_parameters", "shuffle", "n_runs"):
        for label, answer in RIGHT[name].items():
            if "in place" not in label and "apart" not in label:
                assert "One thing more" not in reply(name, answer, capsys), label


def recurse(*arguments):
    return recurse(*arguments)


ERRORS = {
    "a number that is too large": (
        lambda image: 256 - image,
        "It stops with OverflowError: Python integer 256 out of bounds for uint8. In plain words: "
        "a number does not fit its type; uint8, for one, holds 0 to 255 only.",
    ),
    "an exponential": (lambda image: math.exp(1000), "a number does not fit its type"),
    "nothing to divide by": (lambda image: 1 / 0, "something is divided by 0"),
    "itself": (recurse, "the function calls itself"),
    "a name": (lambda image: imaeg, "there is nothing of that name"),  # noqa: F821
    "a method": (lambda image: image.reverse(), "nothing of the name behind it"),
    "an index": (lambda image: image[99], "an index does not fit"),
    "a key": (lambda image: {}["x"], "a key that it does not have"),
    "an import": (lambda image: __import__("no_such_module"), "something is imported"),
    "memory": (lambda image: np.zeros(10**15), "more memory than there is"),
    "too few arguments": (lambda images, labels: images, "the number of values"),
    "a shape": (lambda image: image @ image[:3], "its shape or its content"),
    "exit": (lambda image: exit_with(SystemExit), "a function ends with `return`"),
    "interrupt": (lambda image: exit_with(KeyboardInterrupt), "it was interrupted"),
    "anything": (lambda image: exit_with(BaseException), "call it yourself"),
    "a group": (lambda image: exit_with(BaseExceptionGroup, "x", [ValueError()]), "call it"),
    "codes": (
        lambda image: exit_with(ValueError, "\x1b[1mbold\x1b[0m \u202ex\n\ud800"),
        "ValueError: [1mbold [0m x. In plain words",
    ),
}


def exit_with(kind, *arguments):
    raise kind(*arguments)


@pytest.mark.parametrize("error", ERRORS)
def test_an_error_is_told_in_plain_words(error, capsys):
    answer, words = ERRORS[error]
    line = reply("invert", answer, capsys)
    assert line.startswith("It stops with ")
    assert words in line


HINTS = {
    "a number of 400 digits": (lambda *_: 10**400, "far too large"),
    "NaN": (lambda *_: np.nan, "an infinity or a NaN"),
    "no return": (lambda *_: None, "behind a `return`?"),
    "a function": (lambda *_: print, "received <built-in function print>"),
    "a generator": (lambda *_: (n for n in [1]), "received something of the type generator"),
    "text": (lambda *_: "3", "received '3'"),
    "an array of text": (lambda *_: np.array(["3"]), "of the type <U1 and the shape (1,)"),
    "a list": (lambda *_: [3], "One number is expected, and no list or array"),
    "lists without end": (lambda *_: in_lists(10_000), "Numbers are expected"),
    "an object": (lambda *_: object(), "received something of the type object"),
}


def in_lists(depth):
    items = []
    for _ in range(depth):
        items = [items]
    return items


@pytest.mark.parametrize("kind", HINTS)
def test_a_hint_says_what_came(kind, capsys):
    answer, words = HINTS[kind]
    assert words in reply("count_sevens", answer, capsys)


# --- answers whose own code never returns ------------------------------------------------------

WAYS = """
__eq__ __hash__ __len__ __iter__ __array__ __repr__ __str__ __bool__ __format__ __index__
__float__ __getattr__ __getattribute__ __getitem__ __call__ __contains__ __class__
"""


def waiting_kinds(way, over):
    """Return classes whose method `way` waits until the test is over."""

    def wait(self, *_, **__):
        over.wait(60)
        raise ValueError("the test is over")

    if way == "__class__":
        wait = property(wait)
    kinds = [type("Odd", (base,), {way: wait}) for base in (object, str, list, dict)]
    if way not in ("__call__", "__class__", "__hash__"):
        kinds.append(type("Meta", (type,), {way: wait}))
    return kinds


def made_of(kind):
    if kind.__name__ == "Meta":
        return kind("Class", (), {})
    return kind()


@pytest.mark.parametrize("way", WAYS.split())
def test_whatever_an_answer_waits_for_the_check_goes_on(way, capsys, monkeypatch):
    monkeypatch.setattr(exercises, "_CHECK_SECONDS", 0.02)
    monkeypatch.setattr(exercises, "_ENDING_TRIES", 0)
    over = threading.Event()
    try:
        for kind in waiting_kinds(way, over):
            answers = {
                "order": made_of(kind),
                "fair": FAIR | {"seed": [made_of(kind), made_of(kind)]},
                "window": [made_of(kind)],
                "invert": lambda image, kind=kind: made_of(kind),
                "output_layer": made_of(kind),
            }
            for name, answer in answers.items():
                assert not reply(name, answer, capsys).startswith("Right")
    finally:
        over.set()


@pytest.mark.parametrize("base", [object, str])
def test_a_key_that_is_compared_without_end_is_not_waited_for(base, capsys, monkeypatch):
    monkeypatch.setattr(exercises, "_CHECK_SECONDS", 0.5)
    monkeypatch.setattr(exercises, "_ENDING_TRIES", 0)
    over = threading.Event()
    is_built = threading.Event()

    class Key(base):
        # The hash of another key: a dict compares the two.
        def __hash__(self):
            return hash("seed")

        def __eq__(self, other):
            if is_built.is_set():
                over.wait(60)
            return False

    grid = FAIR | {Key(): [1]}
    is_built.set()
    started = time.monotonic()
    try:
        assert not reply("fair", grid, capsys).startswith("Right")
        assert not reply("n_runs", lambda _: grid["x"], capsys).startswith("Right")
    finally:
        over.set()
    assert time.monotonic() - started < 30


def test_an_error_of_a_class_that_hides_its_name_is_told(capsys):
    class Meta(type):
        @property
        def __name__(cls):
            raise ValueError

    class HiddenError(Exception, metaclass=Meta):
        pass

    line = reply("invert", lambda image: exit_with(HiddenError), capsys)
    assert line.startswith("It stops with something that cannot be shown")
