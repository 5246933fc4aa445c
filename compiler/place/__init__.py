"""From a Program to cores, axons and routes, and the verifier that checks it."""
