"""Chips as data: one YAML file each, found by its name."""
