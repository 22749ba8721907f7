"""These tests need eight devices: `tests/system/test_mesh.py` runs them in a process that has as many."""

import jax

collect_ignore_glob = ["test_*.py"] if jax.device_count() < 8 else []
