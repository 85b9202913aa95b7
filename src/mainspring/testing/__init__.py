"""Testing: what mainspring's own tests use and users may too."""
