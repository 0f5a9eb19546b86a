"""Any amount of recordings into tables: `glatd archive`.

    inputs -> shards -> workers (processes, or actors on a Ray cluster) -> parts of the tables -> DIR

`find` lists what is to be tagged, `state` what stands in DIR already, `plan` makes shards of the rest, `crew` and
`cluster` hand them to workers, `work` tags one shard through the loop of `glatd replay`, `part` writes rows whole or
not at all, `run` puts it together. docs/archive.md is the specification of the tables.
"""
