"""Training: data in batches, the compiled steps, the loop over epochs, and what is told about it."""
