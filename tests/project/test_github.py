"""What GitHub reads is valid, as far as that can be told without GitHub."""

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml
from packaging.specifiers import SpecifierSet
from support.project import ROOT

GITHUB = ROOT / ".github"
WORKFLOWS = sorted((GITHUB / "workflows").glob("*.yml"))
FORMS = sorted(path for path in (GITHUB / "ISSUE_TEMPLATE").glob("*.yml") if path.stem != "config")
SCHEMAS = {
    "vendor.github-workflows": WORKFLOWS,
    "vendor.github-issue-forms": FORMS,
    "vendor.github-issue-config": [GITHUB / "ISSUE_TEMPLATE" / "config.yml"],
    "vendor.citation-file-format": [ROOT / "CITATION.cff"],
}
BIN = Path(sys.executable).parent


def schema_faults(schema, *paths):
    """Return what check-jsonschema, which brings these schemas along, says of files."""
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", schema, *paths]
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    return "" if run.returncode == 0 else run.stdout + run.stderr


def audit_faults(*paths):
    """Return what zizmor, which knows how workflows are attacked, says of them."""
    command = [BIN / "zizmor", "--offline", "--no-progress", *paths]
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    return "" if run.returncode == 0 else run.stdout + run.stderr


@pytest.mark.parametrize("schema", SCHEMAS)
def test_each_file_fits_its_schema(schema):
    assert SCHEMAS[schema]
    assert schema_faults(schema, *SCHEMAS[schema]) == ""


def test_the_workflows_hold_what_is_known_to_be_dangerous_at_bay():
    assert audit_faults(*WORKFLOWS) == ""


@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    [
        ("    runs-on: ubuntu-latest\n", "    run-on: ubuntu-latest\n", "run-on"),
        ("workflow_dispatch:", "workflow_despatch:", "workflow_despatch"),
    ],
)
def test_a_mistake_in_a_workflow_is_seen(old, new, complaint, tmp_path):
    text = WORKFLOWS[0].read_text(encoding="utf-8")
    assert old in text
    copy = tmp_path / "copy.yml"
    copy.write_text(text.replace(old, new), encoding="utf-8")
    assert complaint in schema_faults("vendor.github-workflows", copy)


def test_an_action_that_may_change_under_us_is_seen(tmp_path):
    text = WORKFLOWS[0].read_text(encoding="utf-8")
    folder = tmp_path / ".github" / "workflows"
    folder.mkdir(parents=True)
    copy = folder / "copy.yml"
    copy.write_text(re.sub(r"@[0-9a-f]{40}", "@main", text), encoding="utf-8")
    assert "unpinned-uses" in audit_faults(copy)


def test_the_workflows_name_supported_pythons_and_three_systems():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    workflow = yaml.safe_load((GITHUB / "workflows" / "tests.yml").read_text(encoding="utf-8"))
    matrix = workflow["jobs"]["locked"]["strategy"]["matrix"]
    assert {name.split("-")[0] for name in matrix["system"]} == {"ubuntu", "macos", "windows"}
    assert matrix["python"] == ["3.11", "3.13"]
    for python in matrix["python"]:
        assert python in SpecifierSet(project["requires-python"])


def test_the_citation_agrees_with_the_project():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    license_text = (ROOT / "LICENSE").read_text(encoding="utf-8")
    assert citation["version"] == project["version"]
    assert citation["license"] == project["license"]
    for author in citation["authors"]:
        assert author["name"] in license_text
