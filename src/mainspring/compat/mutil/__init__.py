"""`mutil`, over mainspring: its modules, names and spellings. What differs is listed in the manual."""
