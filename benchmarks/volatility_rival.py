"""The rival of `benchmarks.volatility`, in an environment that suits it: prints its seconds."""

from __future__ import annotations

import json
import sys
import warnings
from time import perf_counter

import numpy as np
from py_vollib_vectorized import vectorized_implied_volatility_black


def main(path: str) -> None:
    """Time the options of a file, after a first call that compiles."""
    warnings.simplefilter("ignore")
    price, forward, strike, years, is_call = np.load(path).values()
    options = (price, forward, strike, 0.0, years, np.where(is_call, "c", "p"))
    few = [one[:10] if isinstance(one, np.ndarray) else one for one in options]
    vectorized_implied_volatility_black(*few, return_as="numpy")
    start = perf_counter()
    vectorized_implied_volatility_black(*options, return_as="numpy")
    print(json.dumps({"seconds": perf_counter() - start}))


if __name__ == "__main__":
    main(sys.argv[1])
