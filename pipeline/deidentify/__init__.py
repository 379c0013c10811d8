"""From raw batches to de-identified staging: pseudonyms, generalisation, reject accounting."""
