"""What recipients get of what is published: who may read which part, by which token, and how it reaches them."""
