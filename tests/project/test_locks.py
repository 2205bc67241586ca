"""The locks hold every version with its hashes, and what pyproject.toml asks for."""

import re
import tomllib

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from support.project import ROOT

PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
LOCK = (ROOT / "requirements.lock").read_text(encoding="utf-8")
DEV_LOCK = (ROOT / "requirements-dev.lock").read_text(encoding="utf-8")
DEPENDENCIES = PYPROJECT["project"]["dependencies"]
EXTRAS = PYPROJECT["project"]["optional-dependencies"]


def pins(lock):
    """Return {name: version} of a lock, which has one line for each, its continuations joined."""
    lines = lock.replace("\\\n", " ").splitlines()
    lines = [line.split(" --hash")[0].split(" #")[0] for line in lines]
    requirements = [Requirement(line) for line in lines if line and line[0].isalnum()]
    return {canonicalize_name(r.name): str(r.specifier).lstrip("=") for r in requirements}


def lock_faults(lock):
    faults = []
    seen = set()
    if re.search(r"://|(^|\s)(-i|-f|--[\w-]*index[\w-]*|--find-links|--trusted-host)\b", lock):
        faults.append("an index or another address is named")
    for line in lock.replace("\\\n", " ").splitlines():
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        found = re.match(r"([\w.-]+)(?:\[[\w,-]+\])?==([^\s;*]+)( ;|\s|$)", line)
        if not found:
            faults.append(f"{line[:40]!r} pins no version")
            continue
        name = canonicalize_name(found[1])
        if name in seen:
            faults.append(f"{name} is pinned twice")
        if not re.search(r"--hash=sha256:[0-9a-f]{64}(\s|$)", line):
            faults.append(f"{name} has no sha256 hash")
        seen.add(name)
    return faults


def range_faults(requirements, lock):
    """Compare declared ranges with what the lock pins."""
    pinned = pins(lock)
    faults = []
    for requirement in map(Requirement, requirements):
        version = pinned.get(canonicalize_name(requirement.name))
        if version is None:
            faults.append(f"{requirement.name} is not in the lock")
        elif version not in requirement.specifier:
            faults.append(f"{requirement} does not allow {version}, which the lock pins")
    return faults


def superset_faults(lock, dev_lock):
    """Say where having the dev lock installed would not satisfy the learner's."""
    pinned = pins(lock)
    dev = pins(dev_lock)
    return [
        f"{name} is {version} in one lock and {dev.get(name, 'absent')} in the other"
        for name, version in pinned.items()
        if dev.get(name) != version
    ]


def test_the_locks():
    build = PYPROJECT["build-system"]["requires"]
    assert PYPROJECT["dependency-groups"]["build"] == build
    assert len(pins(LOCK)) > 100
    assert lock_faults(LOCK) == lock_faults(DEV_LOCK) == []
    learner = DEPENDENCIES + EXTRAS["course"] + build
    assert range_faults(learner, LOCK) == []
    assert range_faults(learner + EXTRAS["dev"], DEV_LOCK) == []
    assert superset_faults(LOCK, DEV_LOCK) == []
    backends = {"jax", "jaxlib", "torch"}  # these bring gigabytes, and are chosen by hand
    assert not backends & (set(pins(LOCK)) | set(pins(DEV_LOCK)))


HASH = f"--hash=sha256:{'0' * 64}"
GOOD = f"""\
a==1.0 \\
    {HASH} \\
    {HASH}
    # via b
b-c==2.1 ; os_name == 'nt' \\
    {HASH}
e[toml]==3.0 \\
    {HASH}
"""


@pytest.mark.parametrize(
    ("mistake", "complaint"),
    [
        (GOOD.replace("a==1.0 ", "a "), "pins no version"),
        (GOOD.replace("a==1.0", "a>=1.0"), "pins no version"),
        (GOOD.replace("a==1.0", "a==1.*"), "pins no version"),
        (GOOD.replace("a==1.0", "a @ file:a.whl"), "pins no version"),
        (GOOD + f"B_c==2.2 {HASH}\n", "b-c is pinned twice"),
        (GOOD + f"b-c==2.1 ; os_name != 'nt' {HASH}\n", "b-c is pinned twice"),
        (GOOD + "d==1.0\n", "d has no sha256 hash"),
        (GOOD + f"d==1.0 {HASH[:-1]}\n", "d has no sha256 hash"),
        (GOOD + "d==1.0 --hash=md5:00\n", "d has no sha256 hash"),
        ("--index" + "-url example.org\n" + GOOD, "an index"),
        ("--extra-index" + "-url=example.org\n" + GOOD, "an index"),
        ("-i example.org\n" + GOOD, "an index"),
        (GOOD + "    # from https://example.org/simple\n", "an index"),
    ],
)
def test_a_mistake_in_a_lock_is_seen(mistake, complaint):
    assert mistake != GOOD and lock_faults(GOOD) == []
    assert complaint in "\n".join(lock_faults(mistake))


def test_a_version_that_does_not_fit_is_seen():
    assert range_faults(["a>=1,<2", "B.C~=2.0"], GOOD) == []
    assert range_faults(["d"], GOOD) == ["d is not in the lock"]
    assert range_faults(["a>1"], GOOD) == ["a>1 does not allow 1.0, which the lock pins"]
    assert superset_faults(GOOD, GOOD + f"d==1.0 {HASH}\n") == []
    assert superset_faults(GOOD, GOOD.replace("b-c==2.1", "b-c==2.2")) == [
        "b-c is 2.1 in one lock and 2.2 in the other"
    ]
    assert superset_faults(GOOD + f"d==1.0 {HASH}\n", GOOD) == [
        "d is 1.0 in one lock and absent in the other"
    ]
