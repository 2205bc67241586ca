# Opens your own copies of the notebooks, in work\, in JupyterLab.
# It does what `start` does; its authors have not run it.

Set-Location -LiteralPath $PSScriptRoot
if (-not (Test-Path .venv\installed)) {
    [Console]::Error.WriteLine("Nothing is installed here yet: run powershell -ExecutionPolicy Bypass -File install.ps1 first.")
    exit 1
}

New-Item -ItemType Directory -Force work | Out-Null
foreach ($notebook in Get-ChildItem notebooks\*.ipynb) {
    $copy = Join-Path work $notebook.Name
    if (-not (Test-Path $copy)) { Copy-Item $notebook.FullName $copy }
}

Remove-Item "Env:PYTHONPATH", "Env:PYTHONHOME" -ErrorAction SilentlyContinue
$env:JUPYTER_PREFER_ENV_PATH = "1"
$env:PATH = "$PSScriptRoot\.venv\Scripts;$env:PATH"
.venv\Scripts\python -m jupyterlab "--ServerApp.ip=127.0.0.1" "--ServerApp.root_dir=$PSScriptRoot\work" $args
