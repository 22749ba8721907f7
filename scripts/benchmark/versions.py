"""What is installed in an environment; it is asked without importing any of it.

python -m scripts.benchmark.versions
"""

import importlib.metadata
import json

WANTED = ("jax", "jaxlib", "flax", "optax", "keras", "numpy", "torch", "tensorflow")


def installed() -> dict[str, str]:
    """The versions, by the name that is imported."""
    owners = importlib.metadata.packages_distributions()
    return {name: importlib.metadata.version(owners[name][0]) for name in WANTED if name in owners}


if __name__ == "__main__":
    print(json.dumps(installed()))
