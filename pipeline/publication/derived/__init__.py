"""What recipients work out anyway, done rightly: from published numbers alone, with their intervals carried through."""
