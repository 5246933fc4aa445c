"""Readers of graph files: every file is hostile until checked."""
