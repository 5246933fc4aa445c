"""Data sets and how they become spikes."""
