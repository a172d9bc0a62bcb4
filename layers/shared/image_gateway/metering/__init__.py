"""What jobs cost: prices and their calculation."""
