"""The articles' recipes and notebook 06's, side by side: makes mnist_helpers/measured/speed.csv.

    python benchmarks/speed.py

trains both articles' networks and notebook 06's on all training digits with seeds 1 to 5, all
recipes in turn within each seed, the notebook's in float32 and, where the processor computes with
it, in bfloat16: some ten minutes on two cores. Counted are the seconds of building and `fit`; no
digits are held out and none read meanwhile. The test digits judge the last epoch.
"""

import statistics
import time

from experiments import load_prepared
from recipes import CNN_FAST, MLP_ARTICLE, MLP_FAST, STEPS, fit_recipe
from table import append_table, describe_machine

from mnist_helpers.evaluation import predict_digits
from mnist_helpers.preprocessing import to_images, to_vectors
from mnist_helpers.tables import group_rows
from mnist_helpers.training import has_bfloat16

SEEDS = range(1, 6)
N_WARM_UP = 1024  # digits


def list_recipes():
    """Return (network, the recipe's name, recipe), each article's before the notebook's."""
    # Keras' dtype policies, by their names in the table.
    precisions = {"float32": "float32"}
    if has_bfloat16():
        precisions["bfloat16"] = "mixed_bfloat16"
    articles = {"mlp": MLP_ARTICLE, "cnn": STEPS["the article's"]}
    fast = {"mlp": MLP_FAST, "cnn": CNN_FAST}
    recipes = []
    for network, article in articles.items():
        recipes.append((network, "article", article))
        for name, precision in precisions.items():
            recipe = fast[network] | {"precision": precision}
            recipes.append((network, f"ours, {name}", recipe))
    return recipes


def measure(recipe, digits, seed):
    """Train once and return what it took and how many test digits are read right."""
    (x, y), (x_test, y_test) = digits
    started = time.perf_counter()
    model, cpu_seconds = fit_recipe(x=x, y=y, seed=seed, **recipe)
    wall_seconds = time.perf_counter() - started
    predicted, _ = predict_digits(model, x_test)
    return {
        "cpu_seconds": round(cpu_seconds, 2),
        "wall_seconds": round(wall_seconds, 2),
        "test_accuracy": round(float((predicted == y_test).mean()), 4),
    }


def warm_up(digits):
    """Train each recipe shortly; a process's first call prepares more than itself."""
    for network, _, recipe in list_recipes():
        (x, y), _ = digits[network]
        fit_recipe(x=x[:N_WARM_UP], y=y[:N_WARM_UP], seed=0, **recipe | {"epochs": 1})


def print_summary(rows):
    """Print medians and means of each recipe, and what it saves over the article's."""
    groups = group_rows(rows, "network", "recipe")
    for (network, name), runs in groups.items():
        cpu = statistics.median(run["cpu_seconds"] for run in runs)
        article = statistics.median(run["cpu_seconds"] for run in groups[network, "article"])
        accuracy = statistics.mean(run["test_accuracy"] for run in runs)
        times = article / cpu
        print(f"{network}, {name}: {cpu:.1f} CPU s, {times:.1f} times less, {accuracy:.2%}")


def main():
    digits = {"mlp": load_prepared(to_vectors), "cnn": load_prepared(to_images)}
    machine = describe_machine()
    warm_up(digits)
    rows = []
    # In turn, because a processor that is hot or shared gets slower in the meantime.
    for seed in SEEDS:
        for network, name, recipe in list_recipes():
            row = {"network": network, "recipe": name, "seed": seed}
            row |= measure(recipe, digits[network], seed)
            print(*row.values(), flush=True)
            rows.append(row | machine)
    append_table("speed", rows)
    print_summary(rows)


if __name__ == "__main__":
    main()
