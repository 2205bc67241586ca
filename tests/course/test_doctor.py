"""The doctor's lines: each when all is well, and each when what it checks is really broken."""

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import warnings
from importlib import metadata
from pathlib import Path
from types import SimpleNamespace

import distributed.system
import psutil
import pytest
from support.notebooks import printed
from support.project import ROOT

from mnist_course import doctor
from mnist_course.notebooks import find_notebooks, read_notebook
from mnist_course.run import execute
from mnist_helpers import data, tables

DOCTOR = ["-m", "mnist_course", "doctor"]
START = "00_start_here"
SUBJECTS = [
    *["Python", "Kernel", "Packages", "Names", "Folders", "Keras", "Figures"],
    *["Digits", "Room", "Time"],
]
ALL_OK = dict.fromkeys(SUBJECTS, "OK")
HASH = f"--hash=sha256:{'0' * 64}"
PYTHON = Path("Scripts/python.exe" if os.name == "nt" else "bin/python")
FOREIGN = ("CONDA_", "JUPYTER_P", "KERAS_", "JPY_PARENT_PID", "VIRTUAL_ENV")


@pytest.fixture(autouse=True)
def no_settings(tmp_path, monkeypatch):
    """Keep the settings of this computer out of it."""
    for name in list(os.environ):
        if name.startswith(FOREIGN):
            monkeypatch.delenv(name)
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras"))
    monkeypatch.setenv("JUPYTER_PREFER_ENV_PATH", "1")
    monkeypatch.setenv("JUPYTER_DATA_DIR", str(tmp_path / "jupyter"))


@pytest.fixture
def project(tmp_path, monkeypatch):
    """Return the project's folder, as far as the doctor can see: no environment and no lock."""
    folder = tmp_path / "project"
    folder.mkdir()
    monkeypatch.setattr(doctor, "PROJECT", folder)
    return folder


@pytest.fixture(scope="module")
def other(tmp_path_factory):
    """Return another environment, in which nothing is installed."""
    folder = tmp_path_factory.mktemp("another") / "environment"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder], check=True)
    return folder


def run_doctor(*arguments, python=sys.executable, **environment):
    run = subprocess.run(
        [python, *DOCTOR, *arguments],
        cwd=ROOT,
        env=os.environ | environment,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert run.stderr == ""
    return run.returncode, run.stdout.splitlines()


def statuses(lines):
    """Return {subject: status} of the doctor's lines."""
    found = {}
    for line in lines:
        status, subject = re.match(r"(\w+) +(\w+): ", line).groups()
        found[subject] = status
    return found


# --- all of it ---------------------------------------------------------------------------------


@pytest.mark.slow
def test_where_all_is_well_every_line_says_ok_and_the_status_is_0():
    status, lines = run_doctor()
    assert statuses(lines) == ALL_OK, lines
    assert status == 0
    assert len(lines) == len(SUBJECTS)
    # the kernel's Python, and where it belongs
    assert lines[1].count(sys.prefix) == 2
    assert lines[2].endswith("all as requirements.lock asks")
    assert f" on tensorflow {metadata.version('tensorflow')}, device: cpu" in lines[5]
    for row in tables.load_table("notebooks"):
        assert f" {row['notebook'][:2]} " in lines[9]


@pytest.mark.slow
def test_what_is_broken_gives_a_line_each_and_status_1(tmp_path):
    missing = str(tmp_path / "mnist.npz")
    status, lines = run_doctor("--data", missing, KERAS_BACKEND="nonsense")
    broken = dict.fromkeys(["Keras", "Digits", "Time"], "MEND")
    assert status == 1
    assert statuses(lines) == ALL_OK | broken
    cause = "the variable KERAS_BACKEND names the back end 'nonsense', but the course runs on "
    assert lines[5] == f"MEND  Keras: {cause}tensorflow, jax, torch: write one of these there"
    assert f"{missing}: there is no such file" in lines[7]


def test_a_python_in_which_nothing_is_installed_is_told_so_without_a_traceback(other):
    status, lines = run_doctor(python=other / PYTHON)
    assert status == 1
    well = {"Names": "OK", "Folders": "OK"}
    assert statuses(lines) == dict.fromkeys(SUBJECTS, "MEND") | well
    assert "mnist-helpers is not installed" in lines[0]
    # The first where the project has its .venv, the second where it has none.
    advice = f"-P -m mnist_course doctor$|belongs to {re.escape(str(other))}"
    assert re.search(advice, lines[1]), lines
    assert "No module named 'keras'" in lines[5]
    assert "-m pip install --require-hashes" in lines[5]
    assert "-m pip install --require-hashes" in lines[6]


def test_a_check_that_fails_itself_is_a_line_and_stops_no_other(monkeypatch, capsys):
    def fail():
        raise RuntimeError("one\ntwo")

    def well(*arguments):
        return doctor.CheckResult("OK", "well")

    for name in ("python", "packages", "names", "folders", "figures", "dataset", "room", "time"):
        monkeypatch.setattr(doctor, f"check_{name}", well)
    monkeypatch.setattr(doctor, "check_keras", fail)
    monkeypatch.setattr(doctor, "check_kernel", lambda: doctor.CheckResult("NOTE", "look"))
    outcome = doctor.check_environment("here")
    assert outcome == {"lines_to_mend": 1, "updates_per_second": None, "data": "digits"}
    lines = capsys.readouterr().out.splitlines()
    assert statuses(lines) == ALL_OK | {"Keras": "MEND", "Kernel": "NOTE"}
    assert lines[1] == "NOTE  Kernel: look"
    assert lines[2] == "OK    Packages: well"
    assert lines[5].startswith("MEND  Keras: this could not be checked (RuntimeError: one two): ")
    assert "pip install" in lines[5]


def test_what_one_check_measures_the_others_use(monkeypatch, capsys):
    keras_check = doctor.CheckResult("OK", "", updates_per_second=50, last_words="words")
    dataset_check = doctor.CheckResult("OK", "", data="here", dataset_name="MNIST")
    monkeypatch.setattr(doctor, "check_keras", lambda: keras_check)
    monkeypatch.setattr(doctor, "check_dataset", lambda data: dataset_check)
    for name in ("python", "kernel", "packages", "names", "folders", "figures"):
        monkeypatch.setattr(doctor, f"check_{name}", lambda: doctor.CheckResult("OK", ""))
    received = []

    def receive(*arguments):
        received.append(arguments)
        return doctor.CheckResult("OK", "")

    monkeypatch.setattr(doctor, "check_room", receive)
    monkeypatch.setattr(doctor, "check_time", receive)
    outcome = doctor.check_environment()
    assert received == [("MNIST",), (50, "MNIST", "words")]
    assert outcome == {"lines_to_mend": 0, "updates_per_second": 50, "data": "here"}


def test_importing_it_imports_nothing_heavy():
    code = "import sys; from mnist_course import doctor; print(*sys.modules)"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    modules = set(run.stdout.split())
    ours = {name for name in modules if name.startswith(("mnist_helpers", "mnist_course"))}
    names = ("doctor", "failed_imports", "hiding", "terminal")
    light = {f"mnist_course.{name}" for name in names}
    assert ours == {"mnist_course", *light}
    assert not {"numpy", "keras", "jupyter_client", "packaging"} & modules


@pytest.mark.slow
def test_the_notebook_shows_what_is_to_mend_and_reaches_its_end(tmp_path):
    (notebook,) = find_notebooks([START])
    variables = {"MNIST_HELPERS_DATA": "digits", "KERAS_BACKEND": "nonsense"}
    executed, outcome = execute(
        read_notebook(notebook), START, parameters={}, folder=tmp_path, environment=variables
    )
    assert outcome["error"] is None
    assert outcome["record"]["metrics"] == {"lines_to_mend": 2}
    text = printed(executed)
    assert "MEND  Keras: " in text
    assert "MEND  Time: " in text
    assert f"OK    Kernel: {sys.executable} belongs to {sys.prefix}" in text


# --- Python ------------------------------------------------------------------------------------


@pytest.mark.parametrize(("version", "status"), [((3, 12, 1), "OK"), ((3, 10, 9), "MEND")])
def test_the_version_of_python(monkeypatch, version, status):
    monkeypatch.setattr(doctor, "sys", SimpleNamespace(version_info=(*version, "final", 0)))
    check = doctor.check_python()
    assert check.status == status
    assert check.text.startswith("3.")
    assert ">=3.11" in check.text


# --- kernel ------------------------------------------------------------------------------------


def name_kernel(folder, program):
    """Write a python3 kernel that starts `program`; return its folder."""
    spec_folder = folder / "kernels" / "python3"
    spec_folder.mkdir(parents=True)
    spec = {
        "argv": [str(program), "-m", "ipykernel_launcher", "-f", "{connection_file}"],
        "display_name": "Python 3",
        "language": "python",
    }
    (spec_folder / "kernel.json").write_text(json.dumps(spec), "utf-8")
    return spec_folder


def test_a_kernel_of_another_python_is_seen_where_jupyter_would_take_it(
    tmp_path, project, other, monkeypatch
):
    spec_folder = name_kernel(tmp_path / "jupyter", other / PYTHON)
    # This environment's kernel comes first.
    assert doctor.check_kernel().status == "OK"
    monkeypatch.setenv("JUPYTER_PREFER_ENV_PATH", "0")
    check = doctor.check_kernel()
    assert check.status == "MEND"
    assert f"{other / PYTHON} belongs to {other}, not to {sys.prefix}: " in check.text
    assert f": rename the folder {spec_folder}, " in check.text
    spec_folder.rename(tmp_path / "renamed")
    assert doctor.check_kernel().status == "OK"


@pytest.mark.parametrize(
    ("program", "status"),
    [
        ("python", "OK"),
        ("python3", "OK"),
        (sys.executable, "OK"),
        (os.path.join(os.sep, "no", "such", "python"), "MEND"),
        (shutil.which("true") or "true", "MEND"),
    ],
)
def test_the_program_that_a_kernel_names(tmp_path, project, monkeypatch, program, status):
    monkeypatch.setenv("JUPYTER_PATH", str(tmp_path))
    name_kernel(tmp_path, program)
    check = doctor.check_kernel()
    assert check.status == status
    assert ("belongs to nothing that runs, " in check.text) == (status == "MEND")


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"[]",
        b"null",
        b"{}",
        b'{"argv": []}',
        b'{"argv": [1]}',
        b"\xff\xfe",
        b"[" * 100_000,
        b'{"argv": ["python"], "env": [1]}',
        b'{"argv": ["python"], "metadata": {"kernel_provisioner": {"provisioner_name": "x"}}}',
    ],
    ids=range(10),
)
def test_a_broken_kernel_is_named_with_its_folder(tmp_path, project, monkeypatch, content):
    monkeypatch.setenv("JUPYTER_PATH", str(tmp_path))
    spec_folder = name_kernel(tmp_path, "python")
    file = spec_folder / "kernel.json"
    file.write_bytes(content)
    check = doctor.check_kernel()
    assert check.status == "MEND"
    assert check.text.startswith(f"{file} does not say how to start Python (")
    assert check.text.endswith(f"): rename the folder {spec_folder}")
    # Which is what mends it.
    spec_folder.rename(tmp_path / "renamed")
    assert doctor.check_kernel().status == "OK"


def test_an_environment_is_known_through_a_link(project):
    (project / ".venv").symlink_to(sys.prefix, target_is_directory=True)
    assert doctor.check_kernel().status == "OK"


def test_the_wrong_python_is_told_which_one_to_run(project, other, monkeypatch):
    (project / ".venv").symlink_to(other, target_is_directory=True)
    monkeypatch.chdir(project)
    check = doctor.check_kernel()
    assert check.status == "MEND"
    assert f"{sys.executable} belongs to {sys.prefix}, " in check.text
    assert check.text.endswith(f": run {Path('.venv', PYTHON)} -P -m mnist_course doctor")


@pytest.mark.parametrize("name", ["VIRTUAL_ENV", "CONDA_PREFIX"])
def test_the_environment_that_is_active_counts(project, other, monkeypatch, name):
    here = (sys.prefix, sys.executable)
    there = (str(other), str(other / PYTHON))
    monkeypatch.setenv(name, str(other))
    assert doctor.find_environment() == there
    assert doctor.check_kernel().status == "MEND"
    monkeypatch.setenv(name, str(other / "gone"))
    assert doctor.find_environment() == here


def test_condas_base_environment_does_not_count(project, other, monkeypatch):
    monkeypatch.setenv("CONDA_PREFIX", str(other))
    monkeypatch.setenv("CONDA_DEFAULT_ENV", "base")
    assert doctor.find_environment() == (sys.prefix, sys.executable)


def test_a_package_in_site_packages_belongs_to_the_python_that_runs(project, other, monkeypatch):
    monkeypatch.setenv("VIRTUAL_ENV", str(other))
    monkeypatch.setattr(doctor, "PROJECT", project / "site-packages")
    assert doctor.find_environment() == (sys.prefix, sys.executable)


def test_another_back_ends_environment_in_the_project_will_do(project, other, monkeypatch):
    (project / ".venv").symlink_to(other, target_is_directory=True)
    monkeypatch.setattr(sys, "prefix", str(project / ".venv-jax"))
    assert doctor.find_environment() == (sys.prefix, sys.executable)
    for elsewhere in (project / "venv-jax", project.parent / ".venv-jax"):
        monkeypatch.setattr(sys, "prefix", str(elsewhere))
        folder, _ = doctor.find_environment()
        assert folder == str(project / ".venv")


def test_started_by_a_kernel_it_judges_that_kernel(project, other, monkeypatch):
    monkeypatch.setenv("JPY_PARENT_PID", "1")
    # Whatever another kernel would be.
    name_kernel(project, "/no/such/python")
    monkeypatch.setenv("JUPYTER_PATH", str(project))
    assert doctor.check_kernel().status == "OK"
    monkeypatch.setenv("VIRTUAL_ENV", str(other))
    check = doctor.check_kernel()
    assert check.status == "MEND"
    assert "close this JupyterLab and start the course's: " in check.text
    assert f"{other / PYTHON} -m jupyterlab" in check.text


# --- packages ----------------------------------------------------------------------------------


def write_lock(project, *lines):
    text = "".join(f"{line} \\\n    {HASH}\n" for line in lines)
    path = project / "requirements.lock"
    path.write_text(text, "utf-8")
    return path


def install(site, name, *, without="", requires=""):
    """Install a package of version 1.0 that has nothing but metadata."""
    folder = site / f"{name}-1.0.dist-info"
    folder.mkdir(parents=True)
    contents = {
        "METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n{requires}",
        "RECORD": f"{name}.py,,\n",
    }
    for file, content in contents.items():
        if file != without:
            (folder / file).write_text(content, "utf-8")


def test_packages_as_the_lock_has_them_are_well(project):
    version = metadata.version("numpy")
    write_lock(project, f"numpy=={version}", "nowhere==1.0 ; sys_platform == 'another'")
    check = doctor.check_packages()
    assert check.status == "OK"
    assert check.text == "1 installed, all as requirements.lock asks"


def test_packages_that_do_not_fit_the_lock_are_named(project, tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path / "site")
    install(tmp_path / "site", "damaged", without="METADATA")
    install(tmp_path / "site", "stopped", without="RECORD")
    install(tmp_path / "site", "whole")
    lock = write_lock(
        project, "absent==1.0", "damaged==1.0", "stopped==1.0", "numpy==1.0", "whole==1.0"
    )
    check = doctor.check_packages()
    assert check.status == "MEND"
    assert check.text.startswith("4 of 5 are not as requirements.lock asks ")
    names = "(absent is missing, damaged is half installed, stopped is half installed and "
    assert f"{names}1 more): " in check.text
    assert check.text.endswith(f"-m pip install --require-hashes -r {lock}")


def test_a_package_of_another_version_is_named_with_both(project):
    write_lock(project, "numpy==1.0")
    version = metadata.version("numpy")
    assert f"(numpy is {version}, not ==1.0): " in doctor.check_packages().text


def test_a_kits_packages_are_installed_without_a_network(project):
    write_lock(project, "absent==1.0")
    wheels = project / "wheels"
    wheels.mkdir()
    assert f" --no-index --find-links {wheels} " in doctor.check_packages().text


def test_without_a_lock_the_package_says_what_it_needs(project):
    check = doctor.check_packages()
    assert check.status == "OK"
    assert check.text.endswith("all as mnist-helpers asks")


def test_without_a_lock_the_extra_of_the_course_is_needed_too(project, tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    requires = [
        "Requires-Dist: numpy>=99",
        "Requires-Dist: absent; extra == 'course'",
        "Requires-Dist: nowhere; extra == 'gpu'",
    ]
    install(tmp_path, "demanding", requires="\n".join(requires) + "\n")
    monkeypatch.setattr(doctor, "PACKAGE", "demanding")
    check = doctor.check_packages()
    assert check.status == "MEND"
    assert check.text.startswith("2 of 2 are not as demanding asks (numpy is ")
    assert "absent is missing" in check.text
    assert check.text.endswith(": install the course again, as it was installed the first time")


# --- Keras -------------------------------------------------------------------------------------


def pretend_keras(folder, monkeypatch, code):
    (folder / "keras.py").write_text(code, "utf-8")
    monkeypatch.setenv("PYTHONPATH", str(folder))


@pytest.mark.slow
def test_a_keras_that_cannot_be_imported(tmp_path, monkeypatch, capfd):
    pretend_keras(tmp_path, monkeypatch, "raise ImportError('DLL load failed')")
    # It is to pass for the one that is installed.
    monkeypatch.setattr(doctor, "find_hiding_files", lambda folders: [])
    check = doctor.check_keras()
    assert check.status == "MEND"
    assert check.text.startswith("ImportError: DLL load failed (status 1): ")
    assert "pip install" in check.text
    assert check.updates_per_second is None
    assert capfd.readouterr() == ("", "")


@pytest.mark.skipif(os.name == "nt", reason="there it has other numbers")
def test_a_keras_that_ends_python(tmp_path, monkeypatch, capfd):
    code = "import os\nos.write(2, b'this processor lacks AVX\\n')\nos.abort()"
    pretend_keras(tmp_path, monkeypatch, code)
    check = doctor.check_keras()
    assert check.status == "MEND"
    assert check.text.startswith("this processor lacks AVX (status -6): ")
    assert capfd.readouterr() == ("", "")


KERAS_WITHOUT_TRAINING = """\
from types import SimpleNamespace

__version__ = "9"
config = SimpleNamespace(
    backend=lambda: "keras",
    set_floatx=lambda value: None,
    set_epsilon=lambda value: None,
    set_image_data_format=lambda value: None,
)
array = SimpleNamespace(device="/job:a/device:CPU:0")
ops = SimpleNamespace(zeros=lambda n: array)


def Input(**_):
    raise RuntimeError("no kernel image for this device")
"""


@pytest.mark.slow
def test_a_keras_that_cannot_train(tmp_path, monkeypatch):
    pretend_keras(tmp_path, monkeypatch, KERAS_WITHOUT_TRAINING)
    check = doctor.check_keras()
    assert (check.status, check.text) == ("OK", "9 on keras 9, device: cpu:0")
    assert check.updates_per_second is None
    time_check = doctor.check_time(None, "MNIST", check.last_words)
    assert time_check.status == "MEND"
    assert "no kernel image for this device" in time_check.text


@pytest.mark.parametrize(
    ("stored", "cause"),
    [
        ({"backend": "theano"}, "names the back end 'theano'"),
        ([], "must hold an object"),
        ({"floatx": "half"}, "'floatx' must be one of"),
    ],
)
def test_a_settings_file_that_stops_keras_is_named_and_no_installation_advised(
    tmp_path, stored, cause
):
    file = tmp_path / "keras" / "keras.json"
    file.parent.mkdir()
    file.write_text(json.dumps(stored), "utf-8")
    check = doctor.check_keras()
    assert check.status == "MEND"
    assert str(file) in check.text
    assert cause in check.text
    assert "pip install" not in check.text


def test_settings_that_the_course_does_not_follow_are_a_note(tmp_path, monkeypatch):
    file = tmp_path / "keras" / "keras.json"
    file.parent.mkdir()
    file.write_text('{"floatx": "float16"}', "utf-8")
    monkeypatch.setenv("KERAS_MAX_EPOCHS", "1")
    answer = SimpleNamespace(stdout='{"keras": "3"}\n{"updates_per_second": 9.0}', stderr="")
    monkeypatch.setattr(doctor, "_run_python", lambda code: answer)
    check = doctor.check_keras()
    assert (check.status, check.updates_per_second) == ("NOTE", 9)
    note = "3; the course does not follow your settings: "
    note += f"floatx = 'float16' in {file}, max_epochs = '1' in the variable KERAS_MAX_EPOCHS"
    assert check.text == note


# --- files, folders and figures ----------------------------------------------------------------


@pytest.mark.parametrize("where", ["here", "project/notebooks", "project/work", "on-the-path"])
def test_a_file_that_hides_a_module_is_named_wherever_kernels_would_find_it(
    tmp_path, project, monkeypatch, where
):
    folders = [tmp_path / "here", project / "notebooks", project / "work", tmp_path / "on-the-path"]
    for folder in folders:
        folder.mkdir()
    monkeypatch.chdir(tmp_path / "here")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "on-the-path"))
    assert doctor.check_names().status == "OK"
    file = tmp_path / where / "random.py"
    file.touch()
    check = doctor.check_names()
    assert check.status == "MEND"
    assert check.text == f"{file} is imported instead of the module random: rename it"
    # No other check sends a person to install all packages anew.
    assert doctor._advice() == check.text


def test_of_many_files_that_hide_modules_the_first_are_named(tmp_path, project, monkeypatch):
    for name in ("random", "numpy", "json", "types", "keras"):
        (tmp_path / f"{name}.py").touch()
    monkeypatch.chdir(tmp_path)
    assert doctor.check_names().text.endswith("; and 2 more")


@pytest.mark.slow
def test_a_learner_s_files_do_not_stop_the_doctor(tmp_path):
    for name in ("keras", "numpy", "random", "json", "argparse", "subprocess"):
        (tmp_path / f"{name}.py").write_text("raise SystemExit('imported')", "utf-8")
    run = subprocess.run(
        [sys.executable, *DOCTOR, "--data", "digits"],
        cwd=tmp_path,
        # Without a back end nothing is trained, which would take seconds.
        env=os.environ | {"PYTHONPATH": str(ROOT), "KERAS_BACKEND": "none"},
        capture_output=True,
        text=True,
    )
    assert run.returncode == 1
    to_mend = dict.fromkeys(["Names", "Keras", "Time"], "MEND")
    assert statuses(run.stdout.splitlines()) == ALL_OK | to_mend
    assert run.stderr == ""


@pytest.mark.slow
def test_output_that_is_not_utf_8_stops_no_check():
    environment = {"PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "LC_ALL": "C"}
    for encoding in ({"PYTHONIOENCODING": "cp437"}, environment):
        with subprocess.Popen(
            [sys.executable, *DOCTOR, "--data", "digits"],
            cwd=ROOT,
            env=os.environ | {"KERAS_BACKEND": "none"} | encoding,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        ) as process:
            out, err = process.communicate()
        lines = out.decode("ascii").splitlines()
        assert list(statuses(lines)) == SUBJECTS
        assert r"28\xd728" in lines[7]
        assert err == b""


def test_folders_that_can_be_written_are_well():
    assert doctor.check_folders().status == "OK"


def test_a_user_without_a_home_is_told_which_variable_to_set(monkeypatch):
    monkeypatch.setattr(os.path, "expanduser", lambda path: path)
    check = doctor.check_folders()
    assert check.status == "MEND"
    assert check.text.startswith("this user has no home folder: set the variable HOME to ")
    assert doctor._advice() == check.text


@pytest.mark.parametrize("variable", ["HOME", "TMPDIR"])
def test_a_folder_that_cannot_be_written_is_named_with_its_variable(
    tmp_path, monkeypatch, variable
):
    folder = tmp_path / "gone"
    if variable == "HOME":
        monkeypatch.setattr(os.path, "expanduser", lambda path: str(folder))
    else:
        monkeypatch.setattr(tempfile, "tempdir", str(folder))
    check = doctor.check_folders()
    assert check.status == "MEND"
    advice = f"set the variable {variable} to a folder that you can write"
    assert check.text == f"{folder} cannot be written (No such file or directory): {advice}"


def test_without_a_folder_for_temporary_files_it_says_so(monkeypatch):
    def refuse():
        raise FileNotFoundError("No usable temporary directory found")

    monkeypatch.setattr(tempfile, "gettempdir", refuse)
    check = doctor.check_folders()
    assert check.status == "MEND"
    assert "set the variable TMPDIR" in check.text


@pytest.mark.slow
@pytest.mark.parametrize("variable", ["MPLBACKEND", "MATPLOTLIBRC"])
def test_settings_that_would_stop_matplotlib_are_named(tmp_path, monkeypatch, variable):
    value = "nonsense"
    if variable == "MATPLOTLIBRC":
        value = str(tmp_path / "matplotlibrc")
        Path(value).write_bytes(b"\xff\xfe\xfa")
    monkeypatch.setenv(variable, value)
    check = doctor.check_figures()
    assert check.status == "NOTE"
    source = value
    if variable == "MPLBACKEND":
        source = "no back end nonsense, which the variable MPLBACKEND names: unset it"
    assert check.text.endswith(source)


@pytest.mark.slow
def test_a_variable_that_stops_a_library_is_named(monkeypatch):
    monkeypatch.setenv("NUMPY_MADVISE_HUGEPAGE", "nonsense")
    check = doctor.check_figures()
    assert check.status == "MEND"
    assert check.text.endswith(" (status 1): unset the variable NUMPY_MADVISE_HUGEPAGE")


# --- digits ------------------------------------------------------------------------------------


def test_digits_that_are_damaged_are_not_used(tmp_path):
    path = tmp_path / "mnist.npz"
    path.write_bytes(b"PK\x03\x04 cut")
    check = doctor.check_dataset(str(path))
    assert check.status == "MEND"
    assert "damaged" in check.text
    assert "Give an mnist.npz" in check.text
    assert "\n" not in check.text
    assert check.data == "digits"


def test_digits_taken_because_mnist_could_not_be_had_are_worth_a_note(
    tmp_path, monkeypatch, recwarn
):
    monkeypatch.delenv("MNIST_HELPERS_DATA", raising=False)
    for name in ("HOME", "XDG_CACHE_HOME", "LOCALAPPDATA", "KERAS_HOME"):
        monkeypatch.setenv(name, str(tmp_path))
    check = doctor.check_dataset()
    assert check.status == "NOTE"
    assert "\n" not in check.text
    assert check.text.startswith("bundled digits: 1,500 training and 297 test digits")
    assert "could not be had (http://127.0.0.1:9/ into " in check.text
    assert "Go online, set MNIST_HELPERS_DATA to an mnist.npz" in check.text
    assert check.data == "digits"
    assert not list(recwarn)


def test_digits_that_were_asked_for_are_well():
    check = doctor.check_dataset("digits")
    assert check.status == "OK"
    assert check.text.startswith("bundled digits: ")
    assert (check.data, check.dataset_name) == ("digits", "bundled digits")


# --- room and time -----------------------------------------------------------------------------

SMALL = {
    "notebook": "00_a",
    "digits": "bundled digits",
    "seconds": 30,
    "peak_mb": 400,
    "disk_mb": 5.1,
    "updates_per_second": 200,
}
LARGE = {
    "notebook": "02_b",
    "digits": "bundled digits",
    "seconds": 90,
    "peak_mb": 900,
    "disk_mb": 10.3,
    "updates_per_second": 100,
}
# What the two need together: 15.399999999999999 MB in floating point.
DISK_MB = 16


@pytest.fixture
def room(monkeypatch):
    """Return what sets the free disk, the free memory and its limit, in MB."""
    on_mnist = LARGE | {"digits": "MNIST", "peak_mb": 5000}
    table = {"notebooks": [SMALL, LARGE, on_mnist]}
    monkeypatch.setattr(tables, "load_table", table.__getitem__)

    def set_room(disk, memory, limit=10_000):
        usage = SimpleNamespace(free=disk * 1e6)
        available = SimpleNamespace(available=memory * 1e6)
        monkeypatch.setattr(shutil, "disk_usage", lambda path: usage)
        monkeypatch.setattr(psutil, "virtual_memory", lambda: available)
        monkeypatch.setattr(distributed.system, "MEMORY_LIMIT", limit * 1e6)

    return set_room


@pytest.mark.parametrize(
    ("disk", "memory", "limit", "status"),
    [
        (16, 900, 900, "OK"),
        (15, 900, 900, "MEND"),
        (16, 899, 900, "MEND"),
        (16, 4000, 899, "MEND"),
    ],
)
def test_disk_and_memory_must_do_for_what_was_measured(room, disk, memory, limit, status):
    room(disk, memory, limit)
    check = doctor.check_room("bundled digits")
    assert check.status == status
    assert f"{disk} MB of disk are free and {DISK_MB} needed, " in check.text
    assert f"{min(memory, limit)} MB of memory are free and 900 needed" in check.text
    assert ("close other programs" in check.text) == (status == "MEND")


def test_on_mnist_as_much_is_needed_as_was_measured_on_mnist(room):
    room(25, 4999)
    assert doctor.check_room("bundled digits").status == "OK"
    assert doctor.check_room("MNIST").status == "MEND"


@pytest.mark.parametrize(("speed", "minutes"), [(100, "00 1.0, 02 1.5"), (200, "00 0.5, 02 0.8")])
def test_a_computer_twice_as_fast_takes_half_the_time(room, speed, minutes):
    check = doctor.check_time(speed, "bundled digits")
    assert check.status == "OK"
    assert check.text.startswith(f"{speed} updates in a second")
    assert check.text.endswith(f": {minutes}")


def test_the_table_has_what_the_doctor_asks_of_it():
    rows = tables.load_table("notebooks")
    names = {path.stem for path in (ROOT / "notebooks").glob("*.ipynb")}
    assert {row["notebook"] for row in rows} <= names
    assert {row["digits"] for row in rows} == {"MNIST", "bundled digits"}
    for row in rows:
        assert set(row) == set(SMALL)
        for column in ("seconds", "peak_mb", "disk_mb", "updates_per_second"):
            assert row[column] > 0


def test_a_warning_that_says_nothing_of_the_digits_changes_nothing(monkeypatch):
    load = data.load_mnist

    def load_and_warn(path):
        warnings.warn("unclosed event loop", ResourceWarning, stacklevel=2)
        return load(path)

    monkeypatch.setattr(data, "load_mnist", load_and_warn)
    assert doctor.check_dataset("digits").status == "OK"
