"""Files become ratings; the only room that knows external ids."""
