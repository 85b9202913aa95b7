"""`python -m aiomisc.plugins`: list the installed plugins."""

from mainspring.compat.aiomisc._environment import PLUGIN_GROUPS
from mainspring.runtime import list_plugins

if __name__ == "__main__":
    list_plugins(groups=PLUGIN_GROUPS, program="python -m aiomisc.plugins")
