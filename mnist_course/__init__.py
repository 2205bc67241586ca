"""The machinery around the notebooks: it runs, checks, packs and serves them."""
