"""The recipes of notebook 06, which the benchmarks measure.

Notebook 06 shows this same code, piece by piece, in its cells tagged `recipe`;
tests/benchmarks/test_recipes.py holds the two equal. What only benchmarks need is elsewhere.
"""

import math
import time

from mnist_helpers import models, training
from mnist_helpers.augmentation import RandomWarp
from mnist_helpers.keras_settings import keras_defaults
from mnist_helpers.training import OneCycle

with keras_defaults():
    import keras
    from keras import layers

# --- how a recipe trains -----------------------------------------------------------------------


def compile_model(
    model, n_batches, epochs, peak_learning_rate=None, smoothing=0, one_call_per_epoch=False, **adam
):
    learning_rate = 0.001
    if peak_learning_rate is not None:
        learning_rate = OneCycle(peak_learning_rate, epochs * n_batches)
    steps_per_execution = 1
    if one_call_per_epoch:
        steps_per_execution = training.steps_per_execution(n_batches)
    model.compile(
        keras.optimizers.Adam(learning_rate, **adam),
        keras.losses.CategoricalCrossentropy(label_smoothing=smoothing),
        steps_per_execution=steps_per_execution,
    )


def fit_recipe(build, x, y, *, seed, epochs, batch_size, precision="float32", **compile_options):
    targets = keras.utils.to_categorical(y, 10)
    n_batches = math.ceil(len(x) / batch_size)
    keras.utils.set_random_seed(seed)
    keras.config.set_dtype_policy(precision)
    started = time.process_time()
    model = build()
    compile_model(model, n_batches, epochs, **compile_options)
    model.fit(x, targets, batch_size=batch_size, epochs=epochs, verbose=0)
    cpu_seconds = time.process_time() - started
    keras.config.set_dtype_policy("float32")
    return model, cpu_seconds


# --- from the second article's recipe to a fast one ---------------------------------------------


# With Keras' momentum of 0.99 the normalization would still remember the random start after a
# hundred updates. What lies before it needs no bias: it takes every constant away.
def build_normalized_cnn():
    stack = [keras.Input((28, 28, 1))]
    for filters, kernel_size in ((30, 5), (15, 3)):
        stack.append(layers.Conv2D(filters, kernel_size, use_bias=False))
        stack.append(layers.BatchNormalization(momentum=0.9))
        stack.append(layers.ReLU())
        stack.append(layers.MaxPooling2D(2))
    stack.append(layers.Flatten())
    for units in (128, 50):
        stack.append(layers.Dense(units, use_bias=False))
        stack.append(layers.BatchNormalization(momentum=0.9))
        stack.append(layers.ReLU())
    stack.append(layers.Dense(10, activation="softmax", dtype="float32"))
    return keras.Sequential(stack)


# Pooling comes before the first normalization, since normalizing large maps costs more than
# convolving them.
def build_fast_cnn(filters=16, kernel_size=5, dense_units=64):
    stack = [
        keras.Input((28, 28, 1)),
        layers.Conv2D(filters, kernel_size, strides=2, use_bias=False),
        layers.MaxPooling2D(2),
        layers.BatchNormalization(momentum=0.9, scale=False),
        layers.ReLU(),
        layers.Conv2D(64, 3, activation="relu"),
        layers.Flatten(),
        layers.Dense(dense_units, use_bias=False),
        layers.BatchNormalization(momentum=0.9, scale=False),
        layers.ReLU(),
        layers.Dense(10, activation="softmax", dtype="float32"),
    ]
    return keras.Sequential(stack)


STEPS = {
    "the article's": {"build": models.build_cnn, "epochs": 5, "batch_size": 200},
    "one epoch": {"epochs": 1},
    "one-cycle rate": {"peak_learning_rate": 0.01, "beta_1": 0.7, "beta_2": 0.9},
    "batch normalization": {"build": build_normalized_cnn},
    "a cheaper network": {"build": build_fast_cnn},
    "batches of 256": {"batch_size": 256, "peak_learning_rate": 0.016},
    "one call an epoch": {"one_call_per_epoch": True},
    "smoothed labels": {"smoothing": 0.1},
}


def accumulate_steps(steps):
    recipes = {}
    recipe = {}
    for step, change in steps.items():
        recipe = recipe | change
        recipes[step] = recipe
    return recipes


CNN_FAST = accumulate_steps(STEPS)["smoothed labels"]

# --- the first article's network ----------------------------------------------------------------

MLP_ARTICLE = {"build": models.build_mlp, "epochs": 20, "batch_size": 128}
MLP_FAST = {
    "build": models.build_mlp,
    "epochs": 3,
    "batch_size": 1024,
    "peak_learning_rate": 0.01,
    "beta_1": 0.7,
    "beta_2": 0.9,
    "smoothing": 0.1,
    "one_call_per_epoch": True,
}

# --- the accurate network -----------------------------------------------------------------------

# Less than the defaults of `RandomWarp`, which notebook 06 shows in a figure.
WARP = {"rotation": 7, "shear": 0.07, "zoom": 0.07, "translation": 1, "elastic": 0.4}
ERASING = {
    "factor": (0.5, 0.5),
    "scale": (0.03, 0.12),
    "fill_value": 0,
    "value_range": (0, 1),
    "dtype": "float32",
}
N_READINGS = 16


def overlapping_pooling(maps):
    largest = layers.MaxPooling2D(2, strides=1, padding="same")(maps)
    return layers.AveragePooling2D(2)(largest)


def residual_block(maps, filters):
    found = layers.BatchNormalization(momentum=0.97)(maps)
    found = layers.Conv2D(filters, 3, padding="same", activation="relu")(found)
    return layers.Add()([maps, found])


# Erasing comes last: warped afterwards, its sharp edges would look like ends of strokes, and the
# network misreads 24 of the 6,000 held-out digits instead of 17 (ablations.csv).
def build_accurate_cnn(variations=None, pool=overlapping_pooling):
    if variations is None:
        variations = [RandomWarp(**WARP, stroke=0.5), layers.RandomErasing(**ERASING)]
    inputs = keras.Input((28, 28, 1))
    maps = inputs
    for vary in variations:
        maps = vary(maps)
    maps = pool(layers.Conv2D(32, 5, activation="relu")(maps))
    maps = residual_block(maps, 32)
    for filters in (64, 128):
        maps = layers.BatchNormalization(momentum=0.97)(maps)
        maps = layers.Conv2D(filters, 3, padding="same", activation="relu")(maps)
        maps = residual_block(pool(maps), filters)
    maps = layers.BatchNormalization(momentum=0.97)(maps)
    features = layers.Dropout(0.4)(layers.Flatten()(maps))
    outputs = layers.Dense(10, activation="softmax", dtype="float32")(features)
    return keras.Model(inputs, outputs)


CNN_ACCURATE = {
    "build": build_accurate_cnn,
    "epochs": 10,
    "batch_size": 128,
    "peak_learning_rate": 0.004,
    "beta_2": 0.99,
    "weight_decay": 0.02,
    "smoothing": 0.1,
    "precision": "mixed_bfloat16",
}
