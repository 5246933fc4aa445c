"""The demo network: trained by examples/train_digits.py, shipped with its test data."""
