"""Notebook 06's steps, and its rates for batches: makes cumulative_ablation.csv and rates.csv.

    python benchmarks/cumulative_ablation.py

goes from the article's recipe to the fast one with seeds 1 to 5, all steps in turn within each
seed, and judges by the held-out digits: some six minutes on two cores. Then the fast network is
trained with several rates and batch sizes over three seeds, some five minutes. Both tables are in
mnist_helpers/measured.
"""

import time

import numpy as np
from experiments import hold_out, load_prepared
from recipes import CNN_FAST, STEPS, accumulate_steps, fit_recipe
from table import append_table, describe_machine, write_table

from mnist_helpers.evaluation import predict_digits

STEP_SEEDS = range(1, 6)
RATE_SEEDS = range(1, 4)
PEAK_LEARNING_RATES = {  # by batch size
    64: (0.001, 0.002, 0.004, 0.008, 0.016),
    256: (0.002, 0.004, 0.008, 0.016, 0.032),
    1024: (0.004, 0.008, 0.016, 0.032, 0.064),
}
N_WARM_UP = 512  # digits


def measure(recipe, digits, seed):
    """Train once and return what it took and how many held-out digits are read right."""
    (x, y), (x_val, y_val) = digits
    started = time.perf_counter()
    model, cpu_seconds = fit_recipe(x=x, y=y, seed=seed, **recipe)
    wall_seconds = time.perf_counter() - started
    predicted, _ = predict_digits(model, x_val)
    val_accuracy = float(np.mean(predicted == y_val))
    print(f"seed {seed}, {cpu_seconds:5.1f} CPU s, {val_accuracy:.2%}", flush=True)
    return {
        "cpu_seconds": round(cpu_seconds, 2),
        "wall_seconds": round(wall_seconds, 2),
        "val_accuracy": round(val_accuracy, 6),
    }


def warm_up(recipes, digits):
    """Train each recipe shortly; a process's first call prepares more than itself."""
    few = [(x[:N_WARM_UP], y[:N_WARM_UP]) for x, y in digits]
    for recipe in recipes.values():
        measure(recipe | {"epochs": 1}, few, seed=0)


def measure_steps(recipes, digits):
    """Return the rows of cumulative_ablation.csv."""
    rows = []
    # In turn, because a processor that is hot or shared gets slower in the meantime.
    for seed in STEP_SEEDS:
        for step, recipe in recipes.items():
            rows.append({"step": step, "seed": seed} | measure(recipe, digits, seed))
    return rows


def measure_rates(digits):
    """Return the rows of rates.csv."""
    rows = []
    for batch_size, peak_learning_rates in PEAK_LEARNING_RATES.items():
        for seed in RATE_SEEDS:
            for peak_learning_rate in peak_learning_rates:
                settings = {"batch_size": batch_size, "peak_learning_rate": peak_learning_rate}
                measured = measure(CNN_FAST | settings, digits, seed)
                rows.append(settings | {"seed": seed} | measured)
    return rows


def main():
    train, _ = load_prepared()
    digits = hold_out(train)
    machine = describe_machine()
    recipes = accumulate_steps(STEPS)
    warm_up(recipes, digits)
    append_table("cumulative_ablation", [row | machine for row in measure_steps(recipes, digits)])
    write_table("rates", [row | machine for row in measure_rates(digits)])


if __name__ == "__main__":
    main()
