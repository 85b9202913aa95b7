"""The app behind the module-level names: `@job` and `job_runner.run_job`, as piko has them."""

from mainspring.jobs.engine._app import JobApp

job_runner = JobApp("default")
"""The default app: jobs registered by the module-level `@job` belong to it."""

job = job_runner.job
