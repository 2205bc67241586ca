"""The articles' recipes and notebook 06's, side by side: makes mnist_helpers/measured/speed.csv.

    python benchmarks/speed.py

trains both articles' networks and ours on all training digits with seeds 1 to 5, the rivals in
turn within each seed, ours in float32 and, where the processor computes with it, in bfloat16:
some ten minutes on two cores. Counted are the seconds of building and `fit`; no digits are held
out and none read meanwhile. The test digits judge the last epoch.
"""

import statistics
import time

from recipes import load_recipes
from table import append_table, describe_machine

from mnist_helpers.data import load_mnist
from mnist_helpers.evaluation import predict_digits
from mnist_helpers.preprocessing import scale_pixels, to_images, to_vectors
from mnist_helpers.tables import group_rows
from mnist_helpers.training import has_bfloat16

SEEDS = range(1, 6)


def rivals(recipes):
    """Give (network, recipe's name, recipe), each article's before ours."""
    precisions = ["float32"] + ["bfloat16"] * has_bfloat16()
    *_, ours = recipes.cumulate(recipes.RUNGS)
    yield "mlp", "article", recipes.DENSE_ARTICLE
    for name in precisions:
        yield "mlp", f"ours, {name}", recipes.DENSE | {"precision": precision(name)}
    yield "cnn", "article", recipes.RUNGS["the article's"]
    for name in precisions:
        yield "cnn", f"ours, {name}", ours[1] | {"precision": precision(name)}


def precision(name):
    return name if name == "float32" else f"mixed_{name}"


def main():
    recipes, machine = load_recipes(), describe_machine()
    (images, labels), (images_test, labels_test) = load_mnist("mnist")
    labels = labels.astype("int32")
    forms = {"mlp": to_vectors, "cnn": to_images}
    digits = {
        network: (form(scale_pixels(images)), form(scale_pixels(images_test)))
        for network, form in forms.items()
    }
    for network, _, recipe in rivals(recipes):  # the first call prepares more than itself
        x = digits[network][0][:1024]
        recipes.fit(x=x, y=labels[:1024], seed=0, **recipe | {"epochs": 1})

    rows = []
    for seed in SEEDS:
        for network, name, recipe in rivals(recipes):
            x, x_test = digits[network]
            started = time.perf_counter()
            model, seconds = recipes.fit(x=x, y=labels, seed=seed, **recipe)
            row = {"network": network, "recipe": name, "seed": seed}
            row |= {"cpu_seconds": round(seconds, 2)}
            row |= {"wall_seconds": round(time.perf_counter() - started, 2)}
            right = predict_digits(model, x_test)[0] == labels_test
            row |= {"test_accuracy": round(float(right.mean()), 4)}
            print(*row.values(), flush=True)
            rows.append(row | machine)
    append_table("speed", rows)
    for network in forms:
        costs = group_rows([row for row in rows if row["network"] == network], "recipe")
        first = statistics.median(row["cpu_seconds"] for row in costs["article"])
        for name, runs in costs.items():
            cpu = statistics.median(row["cpu_seconds"] for row in runs)
            accuracy = statistics.mean(row["test_accuracy"] for row in runs)
            print(
                f"{network}, {name}: {cpu:.1f} CPU s, {first / cpu:.1f} times less, {accuracy:.2%}"
            )


if __name__ == "__main__":
    main()
