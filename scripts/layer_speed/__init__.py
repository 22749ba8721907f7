"""The parts of `scripts.bench_layers`: families of layers, their other sides, the clock, the roof, the summary."""
