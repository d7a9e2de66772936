"""What users write: options, names, keywords, and what they meant by them."""
