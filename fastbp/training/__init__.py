"""Training by epochs in compiled steps.

`plans` says what a `Plan` of the engine takes of a network and its data; `trainer` has the network
compiled to one, step by step, and `copies` tells whose numbers are newer, the plan's or the user's.
`epochs` is the one loop of all trainings, `fit` a network's in it, with `history`, `checkpoints`
(the file with which it goes on) and `progress` (its bar).
"""
