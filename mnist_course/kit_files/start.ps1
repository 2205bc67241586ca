# Opens your own copies of the notebooks, in work\, in JupyterLab.
# It does what `start` does; its authors have not run it.

Set-Location -LiteralPath $PSScriptRoot
if (-not (Test-Path .venv\made)) {
    [Console]::Error.WriteLine("Nothing is installed here yet: run powershell -ExecutionPolicy Bypass -File install.ps1 first.")
    exit 1
}

Remove-Item "Env:PYTHONPATH", "Env:PYTHONHOME", "Env:PYTHONSAFEPATH" -ErrorAction SilentlyContinue
$env:JUPYTER_PREFER_ENV_PATH = "1"
.venv\Scripts\python -P -m mnist_course.lab $args
