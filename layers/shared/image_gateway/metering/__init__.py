"""What jobs may cost and have cost: prices, the ledger of budgets and other limits, and usage by day."""
