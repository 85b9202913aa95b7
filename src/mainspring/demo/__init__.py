"""The demo: a year of real flights, loaded by a scheduled job from an API that fails, refuses and goes down.

Written as a user's program would be, with public names only. `python -m mainspring.demo` runs it.
"""
