"""What the course promises about speed, measured: python -m benchmarks."""
