"""`python -m mainspring.plugins`: list the installed plugins."""

if __name__ == "__main__":
    from mainspring.runtime import list_plugins

    list_plugins()
