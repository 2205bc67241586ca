"""Notebook 06's recipes, run from its cells, and what was measured with them."""

import itertools

import keras
import numpy as np
import pytest
from support.project import ROOT

from mnist_helpers.data import load_mnist
from mnist_helpers.evaluation import accuracy_interval, predict_digits
from mnist_helpers.preprocessing import scale_pixels, to_images
from mnist_helpers.tables import group_rows, load_table

README = (ROOT / "README.md").read_text(encoding="utf-8")


@pytest.fixture
def benchmarks(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))


@pytest.fixture
def recipes(benchmarks):
    from recipes import load_recipes

    return load_recipes()


@pytest.fixture(scope="module")
def digits():
    return [
        (to_images(scale_pixels(images)), labels.astype("int32"))
        for images, labels in load_mnist("digits")
    ]


def test_a_rung_keeps_what_the_one_before_had_and_adds_its_own(recipes):
    climbed = list(recipes.cumulate(recipes.RUNGS))
    assert [rung for rung, _ in climbed] == list(recipes.RUNGS)
    assert climbed[0][1] == recipes.RUNGS["the article's"]
    for (_, before), (rung, after) in itertools.pairwise(climbed):
        assert after == before | recipes.RUNGS[rung] != before


def test_the_last_rung_learns_the_bundled_digits_and_cleans_up(recipes, digits):
    (x, y), (x_test, y_test) = digits
    *_, (_, recipe) = recipes.cumulate(recipes.RUNGS)
    model, seconds = recipes.fit(
        x=x, y=y, seed=1, **recipe | {"epochs": 20, "precision": "mixed_bfloat16"}
    )
    assert np.mean(predict_digits(model, x_test)[0] == y_test) > 0.9
    assert seconds > 0.1
    assert model.layers[0].compute_dtype == "bfloat16"
    assert keras.config.dtype_policy().name == "float32"


def test_the_rate_of_a_recipe_ends_at_zero_after_its_last_update(recipes, digits):
    x, y = (part[:300] for part in digits[0])
    recipe = {"build": recipes.quick, "epochs": 2, "batch_size": 128, "peak": 0.01}
    model, _ = recipes.fit(x=x, y=y, seed=1, **recipe)
    assert int(model.optimizer.iterations) == 6
    assert float(model.optimizer.learning_rate) == pytest.approx(0, abs=1e-8)


def test_the_large_network_varies_digits_in_training_only(recipes, digits):
    x = digits[0][0][:8]
    model = recipes.precise()
    plain = keras.ops.convert_to_numpy(model(x, training=False))
    assert np.allclose(plain.sum(axis=1), 1, atol=1e-5) and plain.shape == (8, 10)
    assert np.array_equal(plain, keras.ops.convert_to_numpy(model(x, training=False)))
    warp = next(layer for layer in model.layers if isinstance(layer, recipes.RandomWarp))
    assert np.abs(np.array(warp(x, training=True)) - x).mean() > 0.01


def test_every_try_changes_one_place_of_the_notebook(benchmarks):
    import ablations
    from recipes import load_recipes

    for old, new in [*ablations.SMALL.values(), *ablations.LARGE.values()]:
        changed = load_recipes(old, new)
        assert changed.quick().count_params() and changed.precise().count_params()
    with pytest.raises(ValueError, match="must stand once"):
        load_recipes("layers.", "")


# --- what was measured, by the commands in benchmarks/ -----------------------------------------


def rivals():
    rows = [r for r in load_table("speed", latest=True) if r["backend"] == "tensorflow"]
    return group_rows(rows, "network", "recipe")


def cpu(runs):
    return float(np.median([run["cpu_seconds"] for run in runs]))


@pytest.mark.parametrize(("network", "times", "accuracy"), [("cnn", 8, 0.9906), ("mlp", 6, 0.9822)])
def test_the_articles_accuracy_costs_a_fraction(network, times, accuracy):
    runs = rivals()
    for rival in ((network, "article"), (network, "ours, float32"), (network, "ours, bfloat16")):
        assert [run["seed"] for run in runs[rival]] == [1, 2, 3, 4, 5]
    ours = runs[network, "ours, bfloat16"]
    assert cpu(runs[network, "article"]) / cpu(ours) >= times
    assert np.mean([run["test_accuracy"] for run in ours]) >= accuracy


def test_the_large_network_reads_as_promised():
    runs = group_rows(load_table("accuracy"), "evaluated_on")["test"]
    assert [run["seed"] for run in runs] == [1, 2, 3, 4, 5]
    for run in runs:
        assert round(10_000 * (1 - run["accuracy"])) == len(run["mistakes"])
    assert np.mean([run["accuracy"] for run in runs]) >= 0.9968
    for run in runs:  # trained on soft digits, it misreads sharp ones
        assert run["accuracy"] > run["sharp"] + 0.001


def test_every_rung_and_every_try_was_measured(recipes, benchmarks):
    import ablations

    rungs = group_rows(load_table("cumulative_ablation", latest=True), "step")
    assert list(rungs) == list(recipes.RUNGS)
    assert all(len(runs) == 5 for runs in rungs.values())
    seeds = {"small": 5, "large": 1}
    tried = group_rows(load_table("ablations"), "network", "change")
    assert {key: len(runs) for key, runs in tried.items()} == {
        (network, change): seeds[network]
        for network, changes in (("small", ablations.SMALL), ("large", ablations.LARGE))
        for change in changes
    }


def test_the_readme_has_what_was_measured(recipes):
    runs = rivals()
    for (network, recipe), these in runs.items():
        scores = [100 * run["test_accuracy"] for run in these]
        found = f"{cpu(these):.1f} s, "
        if recipe != "article":
            found += f"{cpu(runs[network, 'article']) / cpu(these):.1f} times less, "
        found += f"{np.mean(scores):.2f} % ({min(scores):.2f} to {max(scores):.2f})"
        assert found in README
    large = group_rows(load_table("accuracy"), "evaluated_on")
    size, minutes = recipes.precise().count_params(), cpu(large["test"]) / 60
    assert f"{size:,} parameters, trained for {recipes.PRECISE['epochs']} epochs" in README
    assert f", {minutes:.0f} CPU minutes;" in README
    (vote,) = large["test, all vote"]
    for name in ("accuracy", "averaged"):
        scores = [100 * run[name] for run in large["test"]]
        mean = np.mean(scores)
        low, high = (100 * end for end in accuracy_interval(round(100 * mean), 10_000))
        found = f"{mean:.2f} % ({min(scores):.2f} to {max(scores):.2f}; {low:.2f} to {high:.2f} %"
        assert found in README
        assert f"five together {100 * vote[name]:.2f} %" in README
