"""The parts of `scripts/torture.py`: what is done to runs and their files, and what came of it."""
