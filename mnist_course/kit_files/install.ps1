# Installs the tutorial into .venv, from this folder alone. It may be run again at any time.
# It does what `install` does; its authors have not run it.

function Stop-With($text) { [Console]::Error.WriteLine($text); exit 1 }

Set-Location -LiteralPath $PSScriptRoot
Remove-Item "Env:PYTHONPATH", "Env:PYTHONHOME", "Env:PYTHONSAFEPATH" -ErrorAction SilentlyContinue
$env:JUPYTER_PREFER_ENV_PATH = "1"

$version, $system = (Get-Content made-for.txt -TotalCount 1) -split " ", 2
$here = "Windows $env:PROCESSOR_ARCHITECTURE"
if ($here -ne $system) {
    Stop-With "This kit was made for $system and this computer is ${here}: ask for a kit made on one like it."
}

$launcher = Get-Command py -ErrorAction SilentlyContinue
$found = if ($launcher) { py "-$version" -c "import sys; print('%d.%d' % sys.version_info[:2])" }
if ($found -ne $version) {
    Stop-With "Python $version is needed and was not found (`"py -$version`" does not start it): install Python $version with its launcher, then run this again."
}
# It says itself what stopped it; .venv is then as it was before.
py "-$version" -P mnist_course/install.py requirements.lock --wheels wheels
if ($LASTEXITCODE -ne 0) {
    Stop-With "Nothing was installed, for the reason above: START-HERE.html says what to do."
}

if (Test-Path mnist.npz) {
    .venv\Scripts\python -P -m mnist_course kit --install-dataset mnist.npz
    if ($LASTEXITCODE -ne 0) {
        Stop-With "The digits could not be put into place, for the reason above: START-HERE.html says what to do."
    }
}
Write-Output "Everything is installed. Now this computer is examined:"
.venv\Scripts\python -P -m mnist_course doctor
if ($LASTEXITCODE -ne 0) {
    Stop-With "Something must be mended: see the lines that start with MEND, and START-HERE.html."
}
Write-Output "Ready. To open the notebooks: powershell -ExecutionPolicy Bypass -File start.ps1"
