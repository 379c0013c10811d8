"""What people may ask for, and what is owed to them without asking: requests, retention, and the periodic review."""
