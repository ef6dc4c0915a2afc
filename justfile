# List the recipes
default:
    @just --list --unsorted

# Make the environment with everything in it
setup:
    uv sync --all-groups

# Run the tests; options go to pytest
test *options:
    uv run pytest -n auto {{options}}

# Check style, types and floors
lint:
    uv run ruff check
    uv run ruff format --check
    uv run mypy
    uv run lint-imports

# Mend style, and write the generated pages anew
fix:
    uv run ruff check --fix
    uv run ruff format
    uv run python tools/reference.py

# Serve the page from its sources, with the data of a running plimsoll serve
ui:
    npm --prefix ui run dev

# Build the documentation into site/
docs:
    uv run --group docs mkdocs build --strict

# Run one benchmark, or list them
bench *name:
    uv run python -m benchmarks {{name}}

# Do everything CI does
check:
    .ci/run
