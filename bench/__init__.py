"""The side-by-side benchmark: lb and five other proxies under the same loads, run by `python -m bench`.

Lives here: installing the other proxies, their configurations, the loads, the measuring and the report.
Must not live here: anything that lb needs; nothing under lb/ imports this, and this imports nothing of lb.
"""
