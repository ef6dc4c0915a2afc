"""Implied volatility of a million options, against Jäckel's algorithm as two libraries have it."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from vollib import lets_be_rational

from benchmarks.measure import clocked, spread, versus
from plimsoll.analytics import black

__all__ = ["run"]

OPTIONS = 1_000_000
REPEATS = 3
TELLING = 1e-11
"""Volatility that a rounding of the price may move for the problem to be well posed."""
RIVAL = ("py_vollib_vectorized==0.1.1", "py_vollib==1.0.1", "py_lets_be_rational==1.0.1")
_WITH = (*RIVAL, "numba", "scipy", "setuptools")
_PYTHON = "3.11"

Options = tuple[np.ndarray, ...]


def run() -> dict[str, object]:
    """Time our search and the rival's turn about, and hold it against vollib option by option."""
    options, telling = _grid()
    black.implied_volatility(*(one[:1] for one in options))  # compiled and loaded from here on
    ours, theirs = [], []
    with TemporaryDirectory() as folder:
        place = Path(folder) / "options.npz"
        np.savez(place, *options)
        for _ in range(REPEATS):
            ours.append(clocked(black.implied_volatility, *options)[0])
            theirs.append(_rival(place))
    seconds, known = clocked(_vollib, tuple(one[telling] for one in options))
    found = black.implied_volatility(*options)
    return {
        "compared": f"{OPTIONS:,} options, strikes within a factor of 4 of the forward (most), an "
        "hour to three years, volatility 5 to 500 %; implied_volatility on arrays, against "
        "py_vollib_vectorized 0.1.1 (compiled by numba, with the py_lets_be_rational 1.0.1 it was "
        "made for) on the same arrays in a process of its own; the error against vollib 1.0.11, "
        "called one by one, where a rounding of the price moves volatility by less than "
        f"{TELLING:g}",
        "aim": "at most the time of py_vollib_vectorized; error at most 1e-10",
        "ratio": None if None in theirs else versus(ours, [one for one in theirs if one]),
        "nanoseconds": spread([one / OPTIONS * 1e9 for one in ours], digits=0),
        "rival_nanoseconds": None
        if None in theirs
        else spread([one / OPTIONS * 1e9 for one in theirs if one], digits=0),
        "vollib_nanoseconds": round(seconds / telling.sum() * 1e9),
        "well_posed": int(telling.sum()),
        "largest_error": float(np.abs(found[telling] - known).max()),
    }


def _grid() -> tuple[Options, np.ndarray]:
    """Return prices, forwards, strikes, years and sides, and where the price tells volatility."""
    random = np.random.default_rng(20_261_126)
    forward = np.full(OPTIONS, 60_000.0)
    strike = forward * np.exp(random.normal(0, 0.5, OPTIONS))
    years = np.exp(random.uniform(np.log(1 / 8_760), np.log(3), OPTIONS))
    volatility = np.exp(random.uniform(np.log(0.05), np.log(5), OPTIONS))
    is_call = random.random(OPTIONS) < 0.5
    price = black.price(forward, strike, years, volatility, is_call)
    vega = 100 * black.vega(forward, strike, years, volatility)
    telling = (price > 1e-250) & (2 * np.spacing(price) < TELLING * vega)
    return (price, forward, strike, years, is_call), telling


def _vollib(options: Options) -> np.ndarray:
    solve = lets_be_rational.implied_volatility_from_a_transformed_rational_guess
    rows = zip(*(one.tolist() for one in options), strict=True)
    return np.array([solve(*row, 1.0 if call else -1.0) for *row, call in rows])


def _rival(place: Path) -> float | None:
    """Return the seconds that the rival takes, None where uv cannot make its environment."""
    if shutil.which("uv") is None:
        return None
    script = Path(__file__).with_name("volatility_rival.py")
    wanted = [word for name in _WITH for word in ("--with", name)]
    command = ["uv", "run", "--no-project", "--python", _PYTHON, *wanted, "python", str(script)]
    done = subprocess.run([*command, str(place)], capture_output=True, text=True, check=False)
    return float(json.loads(done.stdout)["seconds"]) if done.returncode == 0 else None
