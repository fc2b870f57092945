"""The `obs` command: one verb, one file. Verbs import what they need when they run, so that `obs query` stays light."""
