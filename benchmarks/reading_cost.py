"""What `mnist-course read` costs: makes mnist_helpers/measured/reading_cost.csv.

    python benchmarks/reading_cost.py

Pictures of one and of twelve megapixels, as JPEG and PNG; medians of three runs, in turn with one
picture and with twenty-one: what each further one costs is a twentieth of the difference.
"""

import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageDraw
from table import write_table

N_FEW = 1  # pictures a command
N_MANY = 21
N_RUNS = 3
SIZES = {"1 megapixel": (1000, 1000), "12 megapixels": (4000, 3000)}  # width, height
FORMATS = ("jpg", "png")
PAPER = 225  # gray levels
INK = 40
GRAIN = 4


class Cost(NamedTuple):
    """What a command took."""

    cpu_seconds: float
    wall_seconds: float
    peak_mb: float


def draw_page(width, height, rng):
    """Return a photograph of an open ring, which is read as some digit."""
    page = Image.new("L", (width, height), PAPER)
    box = (width // 4, height // 4, 3 * width // 4, 3 * height // 4)
    ImageDraw.Draw(page).arc(box, 20, 340, fill=INK, width=width // 30)
    grain = rng.normal(0, GRAIN, (height, width))
    noisy = np.uint8(np.clip(np.asarray(page) + grain, 0, 255))
    return Image.fromarray(noisy).convert("RGB")


def write_pictures(page, folder, suffix):
    """Write the page once, with links to it, and return the paths."""
    paths = [folder / f"{page.width}-{i}.{suffix}" for i in range(N_MANY)]
    page.save(paths[0])
    for link in paths[1:]:
        link.symlink_to(paths[0])
    return paths


def measure_command(pictures):
    """Read pictures with the command, and return what it took."""
    command = [sys.executable, "-m", "mnist_course", "read", *map(str, pictures)]
    started = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, status, used = os.wait4(process.pid, 0)
    wall_seconds = time.perf_counter() - started
    if status != 0:
        raise SystemExit(f"this command failed: {' '.join(command)}")
    return Cost(used.ru_utime + used.ru_stime, wall_seconds, used.ru_maxrss / 1024)


def measure_pictures(pictures):
    """Return the columns of the table: a first picture, and each further one."""
    few = []
    many = []
    for _ in range(N_RUNS):
        few.append(measure_command(pictures[:N_FEW]))
        many.append(measure_command(pictures[:N_MANY]))
    differences = []
    for cost_of_few, cost_of_many in zip(few, many, strict=True):
        differences.append(cost_of_many.cpu_seconds - cost_of_few.cpu_seconds)
    further = statistics.median(differences) / (N_MANY - N_FEW)
    return {
        "first_wall_s": statistics.median(cost.wall_seconds for cost in few),
        "first_cpu_s": statistics.median(cost.cpu_seconds for cost in few),
        "peak_mb": statistics.median(cost.peak_mb for cost in few),
        "further_cpu_ms": 1000 * further,
    }


def measure_all(folder):
    """Return the rows of the table."""
    rng = np.random.default_rng(0)
    rows = []
    for name, (width, height) in SIZES.items():
        page = draw_page(width, height, rng)
        for suffix in FORMATS:
            pictures = write_pictures(page, folder, suffix)
            rows.append({"picture": name, "format": suffix} | measure_pictures(pictures))
    return rows


def main():
    with tempfile.TemporaryDirectory() as folder:
        write_table("reading_cost", measure_all(Path(folder)))


if __name__ == "__main__":
    main()
