"""What is measured of runs: parity, accuracy, energy."""
