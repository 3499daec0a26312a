"""Training by epochs in compiled steps: from a network to its plan, and from `fit` to its file."""
