"""What people see: bars, tables, warnings, and whether anybody looks."""
