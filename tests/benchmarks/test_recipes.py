"""The recipes that the benchmarks measure: notebook 06 shows them, and they train."""

import ast
import itertools

import keras
import nbformat
import numpy as np
import pytest
from support.project import ROOT

from mnist_helpers.augmentation import RandomWarp
from mnist_helpers.data import load_mnist
from mnist_helpers.evaluation import predict_digits
from mnist_helpers.preprocessing import scale_pixels, to_images

BENCHMARKS = ROOT / "benchmarks"
NOTEBOOK = ROOT / "notebooks" / "06_faster_and_further.ipynb"


@pytest.fixture(autouse=True)
def benchmarks_can_be_imported(monkeypatch):
    monkeypatch.syspath_prepend(str(BENCHMARKS))


@pytest.fixture
def recipes():
    import recipes

    return recipes


@pytest.fixture
def ablations():
    import ablations

    return ablations


@pytest.fixture(scope="module")
def digits():
    """Return the bundled digits as a network takes them."""
    prepared = []
    for images, labels in load_mnist("digits"):
        prepared.append((to_images(scale_pixels(images)), labels.astype("int32")))
    return prepared


# --- the notebook shows what is measured -------------------------------------------------------


def definitions(code):
    """Return (name, source) of each function and constant that code defines."""
    found = []
    for node in ast.parse(code).body:
        if isinstance(node, ast.FunctionDef):
            found.append((node.name, ast.get_source_segment(code, node)))
        elif isinstance(node, ast.Assign):
            found.append((ast.unparse(node.targets[0]), ast.get_source_segment(code, node)))
    return found


def differences(module, notebook):
    """Say what the module and the notebook do not both define, once and in the same words."""
    measured = dict(definitions(module))
    complaints = []
    shown = []
    for cell in notebook.cells:
        if cell.cell_type != "code":
            continue
        is_recipe = "recipe" in cell.metadata.get("tags", [])
        for name, source in definitions(cell.source):
            if name not in measured and is_recipe:
                complaints.append(f"{cell.id} defines {name}, which recipes.py does not")
            if name in measured:
                shown.append(name)
                if source != measured[name]:
                    complaints.append(f"{cell.id} does not define {name} as recipes.py does")
    for name in measured:
        if shown.count(name) != 1:
            complaints.append(f"{name} is defined in {shown.count(name)} cells, not in one")
    return complaints


@pytest.fixture
def module():
    return (BENCHMARKS / "recipes.py").read_text(encoding="utf-8")


@pytest.fixture
def notebook():
    return nbformat.read(NOTEBOOK, as_version=4)


def test_notebook_06_shows_the_recipes_as_they_are_measured(module, notebook):
    assert "fit_recipe" in dict(definitions(module))
    assert differences(module, notebook) == []


def test_a_recipe_that_differs_from_the_notebook_is_seen(module, notebook):
    changed = module.replace('"epochs": 10', '"epochs": 11')
    assert differences(changed, notebook) == [
        "accurate-recipe does not define CNN_ACCURATE as recipes.py does"
    ]
    longer = module + "\nFORGOTTEN = 1\n"
    assert differences(longer, notebook) == ["FORGOTTEN is defined in 0 cells, not in one"]
    (cell,) = [cell for cell in notebook.cells if cell.id == "residual-block"]
    cell.source += "\n\nEXTRA = 2"
    notebook.cells[-1].source = "N_READINGS = 4"
    notebook.cells[-1].cell_type = "code"
    assert differences(module, notebook) == [
        "residual-block defines EXTRA, which recipes.py does not",
        "record does not define N_READINGS as recipes.py does",
        "N_READINGS is defined in 2 cells, not in one",
    ]


# --- the recipes train -------------------------------------------------------------------------


def test_a_step_keeps_what_the_one_before_had_and_adds_its_own(recipes):
    accumulated = recipes.accumulate_steps(recipes.STEPS)
    assert list(accumulated) == list(recipes.STEPS)
    assert accumulated["the article's"] == recipes.STEPS["the article's"]
    for (_, before), (step, after) in itertools.pairwise(accumulated.items()):
        assert after == before | recipes.STEPS[step]
        assert after != before
    assert after == recipes.CNN_FAST


def test_the_last_step_learns_the_bundled_digits_and_cleans_up(recipes, digits):
    (x, y), (x_test, y_test) = digits
    recipe = recipes.CNN_FAST | {"epochs": 20, "precision": "mixed_bfloat16"}
    model, cpu_seconds = recipes.fit_recipe(x=x, y=y, seed=1, **recipe)
    predicted, _ = predict_digits(model, x_test)
    assert np.mean(predicted == y_test) > 0.9
    assert cpu_seconds > 0.1
    assert model.layers[0].compute_dtype == "bfloat16"
    assert keras.config.dtype_policy().name == "float32"


def test_the_rate_of_a_recipe_ends_at_zero_after_its_last_update(recipes, digits):
    x, y = digits[0]
    recipe = {"build": recipes.build_fast_cnn, "epochs": 2, "batch_size": 128}
    # 300 digits are three batches.
    model, _ = recipes.fit_recipe(x=x[:300], y=y[:300], seed=1, peak_learning_rate=0.01, **recipe)
    assert int(model.optimizer.iterations) == 6
    assert float(model.optimizer.learning_rate) == pytest.approx(0, abs=1e-8)


def test_a_recipe_without_a_peak_keeps_adams_usual_rate(recipes):
    model = recipes.build_fast_cnn()
    recipes.compile_model(model, n_batches=3, epochs=1)
    assert float(model.optimizer.learning_rate) == pytest.approx(0.001)


def test_the_accurate_network_varies_digits_in_training_only(recipes, digits):
    x = digits[0][0][:8]
    model = recipes.build_accurate_cnn()
    first = keras.ops.convert_to_numpy(model(x, training=False))
    second = keras.ops.convert_to_numpy(model(x, training=False))
    assert first.shape == (8, 10)
    assert np.allclose(first.sum(axis=1), 1, atol=1e-5)
    assert np.array_equal(first, second)
    warp = next(layer for layer in model.layers if isinstance(layer, RandomWarp))
    varied = keras.ops.convert_to_numpy(warp(x, training=True))
    assert np.abs(varied - x).mean() > 0.01


# --- the ablations change one thing each -------------------------------------------------------


def describe_layers(model):
    """Return class and settings of each layer, without its name."""
    layers = []
    for layer in model.layers:
        settings = layer.get_config()
        del settings["name"]
        layers.append((type(layer).__name__, settings))
    return layers


def n_differences(first, second):
    """Count the layers that two networks of equally many layers do not share."""
    return sum(a != b for a, b in zip(first, second, strict=True))


def test_every_change_of_a_setting_changes_one_thing(ablations):
    for network, changes in ablations.CHANGES.items():
        recipe = ablations.RECIPES[network]
        for change, settings in changes.items():
            if change == "as it is" or (network, change) == ("large", "labels not smoothed"):
                assert settings == {}
                continue
            assert settings.keys() <= recipe.keys(), change
            for name, value in settings.items():
                assert value != recipe[name], change


@pytest.mark.parametrize(
    "change", ["32 filters first, not 16", "windows of 7, not 5", "128 units, not 64"]
)
def test_another_size_changes_one_layer_of_the_fast_network(recipes, ablations, change):
    fast = describe_layers(recipes.build_fast_cnn())
    changed = describe_layers(ablations.CHANGES["small"][change]["build"]())
    assert n_differences(fast, changed) == 1


def test_a_layer_more_or_less_leaves_the_rest_of_the_fast_network(recipes, ablations):
    fast = describe_layers(recipes.build_fast_cnn())
    one_convolution = describe_layers(ablations.build_one_convolution())
    warped = describe_layers(ablations.build_warped_fast_cnn())
    assert [name for name, _ in fast].index("Conv2D") == 0
    assert fast[4][0] == "Conv2D"
    assert one_convolution == fast[:4] + fast[5:]
    assert warped[0][0] == "RandomWarp"
    assert warped[1:] == fast


def test_the_changes_of_the_accurate_network_are_those_that_the_table_names(recipes, ablations):
    usual = describe_layers(recipes.build_accurate_cnn())
    assert [name for name, _ in usual[:3]] == ["InputLayer", "RandomWarp", "RandomErasing"]

    networks = {}
    for change, settings in ablations.CHANGES["large"].items():
        if "build" in settings:
            networks[change] = describe_layers(settings["build"]())
    image, warp, erasing, *rest = usual
    assert networks["digits not varied"] == [image, erasing, *rest]
    assert networks["nothing erased"] == [image, warp, *rest]
    assert networks["erased, then varied"] == [image, erasing, warp, *rest]
    pools = {"AveragePooling2D", "MaxPooling2D"}
    assert [layer for layer in networks["max pooling as usual"] if layer[0] not in pools] == [
        layer for layer in usual if layer[0] not in pools
    ]
    assert "AveragePooling2D" not in dict(networks["max pooling as usual"])


def test_the_pen_as_it_is_leaves_strokes_as_thick_as_they_were(ablations, digits):
    model = ablations.build_without_stroke()
    warp = next(layer for layer in model.layers if isinstance(layer, RandomWarp))
    assert warp.stroke == 0
