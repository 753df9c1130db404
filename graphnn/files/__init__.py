"""Files: weights, and whole models with everything that training needs to go on; nothing in them is ever run."""
