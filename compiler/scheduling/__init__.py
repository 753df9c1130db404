"""Equations to loops: which share a kernel, where tensors lie, tiles, memory, threads."""
