"""From staging to bounded groups: one row a person, contribution bounding, hard bounds in SQL."""
