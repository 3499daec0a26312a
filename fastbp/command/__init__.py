"""The command `fastbp`: `arguments` has its words and their defaults, `cli` does what they say."""
