"""Which physical core each logical core goes to."""
