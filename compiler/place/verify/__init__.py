"""Re-check an Image with code that shares nothing with the mapper."""
