"""Experiments to copy from: one file each, read from top to bottom."""
