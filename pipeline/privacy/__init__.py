"""Budget types, mechanisms, selection, consistency, the accountant and the ledger."""
