"""The parts of `scripts.torture`: what is done to runs and files, and whether they survive it."""
