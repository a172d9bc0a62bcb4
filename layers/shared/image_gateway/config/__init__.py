"""The configuration of a deployment: its document in Parameter Store, merging of updates, choice of the engine."""
