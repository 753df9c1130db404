"""What a system means: the interpreter that every kernel is compared with; it shares no code with the other folders."""
