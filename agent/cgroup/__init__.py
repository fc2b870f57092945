"""Every cgroup of v1, v2 and hybrid hierarchies, under cAdvisor's names and labels."""
