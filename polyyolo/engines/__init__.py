"""Toolchains, shape profiles, plans and builds: the only place that knows their flags."""
