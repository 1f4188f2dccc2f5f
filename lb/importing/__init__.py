"""Configurations of other proxies as a draft of lb's: read, mapped, and every directive that has no
counterpart named. Must not live here: anything that runs, or that a running lb imports."""
