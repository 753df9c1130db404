"""The language of systems: expressions over indices, equations, their arithmetic, checks and text."""
