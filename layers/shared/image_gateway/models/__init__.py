"""The public data models: configuration, request forms and answers."""
