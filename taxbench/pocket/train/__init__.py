"""The embedded language model: a small Llama that learned words from WordNet's text alone and never saw a picture."""
