"""Networks built in code, as NIR graphs."""
