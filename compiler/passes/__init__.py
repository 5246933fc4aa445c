"""Passes from Network to Network to Clocked, one file each; the order is in pipeline.py."""
