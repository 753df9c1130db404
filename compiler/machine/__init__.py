"""Text to a call: objects, the cache, arrays, threads, time."""
