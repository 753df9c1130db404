"""Files: round trips, resumed training, damage, replacement."""
