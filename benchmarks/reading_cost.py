"""What `python -m mnist_course read` costs: makes mnist_helpers/measured/reading_cost.csv.

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

import numpy as np
from PIL import Image, ImageDraw
from table import write_table

ONE, MORE = 1, 21  # pictures a command


def measure_cost(folder):
    """Measure the command: a first picture, and each further one."""
    rng, rows = np.random.default_rng(0), []
    for name, (width, height) in {
        "1 megapixel": (1000, 1000),
        "12 megapixels": (4000, 3000),
    }.items():
        page = Image.new("L", (width, height), 225)
        box = (width // 4, height // 4, 3 * width // 4, 3 * height // 4)
        ImageDraw.Draw(page).arc(box, 20, 340, fill=40, width=width // 30)
        noisy = np.uint8(np.clip(np.asarray(page) + rng.normal(0, 4, (height, width)), 0, 255))
        for suffix in ("jpg", "png"):
            pictures = [folder / f"{width}-{i}.{suffix}" for i in range(MORE)]
            Image.fromarray(noisy).convert("RGB").save(pictures[0])
            for link in pictures[1:]:
                link.symlink_to(pictures[0])
            runs = [[spend(pictures[:n]) for n in (ONE, MORE)] for _ in range(3)]
            cpu, wall, memory = (statistics.median(few[i] for few, _ in runs) for i in range(3))
            further = statistics.median(many[0] - few[0] for few, many in runs) / (MORE - ONE)
            row = {"picture": name, "format": suffix, "first_wall_s": wall, "first_cpu_s": cpu}
            rows.append(row | {"peak_mb": memory, "further_cpu_ms": 1000 * further})
    return rows


def spend(pictures):
    """Run the command: CPU seconds, wall seconds, peak memory in MB."""
    command = [sys.executable, "-m", "mnist_course", "read", *map(str, pictures)]
    started = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, status, used = os.wait4(process.pid, 0)
    assert status == 0, command
    return used.ru_utime + used.ru_stime, time.perf_counter() - started, used.ru_maxrss / 1024


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        write_table("reading_cost", measure_cost(Path(folder)))
