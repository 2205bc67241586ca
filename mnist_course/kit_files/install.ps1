# Installs the tutorial into .venv, from this folder alone. It may be run again at any time.
# It does what `install` does; its authors have not run it.

function Stop-With($text) { [Console]::Error.WriteLine($text); exit 1 }

Set-Location -LiteralPath $PSScriptRoot
Remove-Item "Env:PYTHONPATH", "Env:PYTHONHOME" -ErrorAction SilentlyContinue
$env:PIP_CONFIG_FILE = "nul"
$env:PIP_DISABLE_PIP_VERSION_CHECK = "1"
$env:JUPYTER_PREFER_ENV_PATH = "1"

$version, $system = (Get-Content made-for.txt -TotalCount 1) -split " ", 2
$here = "Windows $env:PROCESSOR_ARCHITECTURE"
if ($here -ne $system) {
    Stop-With "This kit was made for $system and this computer is ${here}: ask for a kit made on one like it."
}

# What is installed whole has .venv\installed. Where that is missing, or tells of another folder, as
# after a copy, .venv is made anew: pip would take half a package for a whole one.
$made = Get-Content .venv\installed -ErrorAction SilentlyContinue
if (($made -ne $PSScriptRoot) -or -not (Test-Path .venv\Scripts\python.exe)) {
    $launcher = Get-Command py -ErrorAction SilentlyContinue
    $found = if ($launcher) { py "-$version" -c "import sys; print('%d.%d' % sys.version_info[:2])" }
    if ($found -ne $version) {
        Stop-With "Python $version is needed and `"py -$version`" does not start it: install Python $version with its launcher, then run this again."
    }
    if (Test-Path .venv) { Remove-Item -Recurse -Force .venv }
    py "-$version" -m venv .venv
    if ($LASTEXITCODE -ne 0) {
        Stop-With "No environment could be made here, for the reason above: copy this folder onto the computer's own disk, then run this again."
    }
}
Remove-Item ".venv\installed", "install.log" -ErrorAction SilentlyContinue

Write-Output "Installing into .venv: 3 GB on disk, some minutes. You will see nothing until it is done ..."
.venv\Scripts\python -m pip install --isolated --quiet --log install.log --compile --no-index --find-links wheels --require-hashes -r requirements.lock
if ($LASTEXITCODE -eq 0) {
    .venv\Scripts\python -m pip install --isolated --quiet --log install.log --no-index --no-deps --no-build-isolation -e .
}
if ($LASTEXITCODE -ne 0) {
    if (Select-String -Quiet -SimpleMatch "DO NOT MATCH THE HASHES" install.log -ErrorAction SilentlyContinue) {
        Stop-With "A file in wheels is damaged (pip names it above), so nothing of it was installed: copy the kit again, then run this again."
    }
    Stop-With "The installation did not reach its end, for the reason above: START-HERE.html says what to do."
}
Remove-Item install.log -ErrorAction SilentlyContinue
Set-Content .venv\installed $PSScriptRoot

if (Test-Path mnist.npz) {
    .venv\Scripts\python -m mnist_course kit --install-dataset mnist.npz
    if ($LASTEXITCODE -ne 0) {
        Stop-With "The digits could not be put into place, for the reason above: START-HERE.html says what to do."
    }
}
Write-Output "Everything is installed. Now this computer is examined:"
.venv\Scripts\python -m mnist_course doctor
if ($LASTEXITCODE -ne 0) {
    Stop-With "Something must be mended: see the lines that start with MEND, and START-HERE.html."
}
Write-Output "Ready. To open the notebooks: powershell -ExecutionPolicy Bypass -File start.ps1"
