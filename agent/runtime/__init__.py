"""Which container a cgroup is, and its names: pure recognition of paths, then sources that may know more."""
