"""Loops to LLVM text: lanes, values, folds, functions of vectors."""
