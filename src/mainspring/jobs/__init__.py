"""Jobs: scheduled and recorded work with exact data intervals, retries, backfill and dependencies."""
