"""The course's networks: `fc_net` has the fully connected ones."""
