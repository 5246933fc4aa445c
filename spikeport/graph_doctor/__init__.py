"""Validates, explains and repairs a NIR file, and says who can run the graph."""
