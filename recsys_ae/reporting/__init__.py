"""Reports become plots, tables and pages."""
