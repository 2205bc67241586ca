"""A person's own digits: a pad to draw them on, what is odd about them, and reading their files."""
