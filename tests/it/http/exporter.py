"""Runs Debian's prometheus-pgbouncer-exporter with today's names of two columns.

It knows names that PgBouncer has given up: total_requests of SHOW STATS, reserve_pool of SHOW DATABASES.
Without these it ends with a KeyError, beside PgBouncer 1.26 as beside pgweir. Nothing else is changed.
"""

from prometheus_pgbouncer_exporter import cli, collectors

TODAY = {"total_requests": "total_query_count", "reserve_pool": "reserve_pool_size"}

for collector in (collectors.StatsCollector, collectors.DatabasesCollector):
    known = collector.metrics.items()
    collector.metrics = {TODAY.get(column, column): metric for column, metric in known}
cli.main()
