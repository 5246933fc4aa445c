"""Published measurements that a cost column can be held against, as YAML with their sources."""
