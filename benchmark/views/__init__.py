"""What people look at: tables and figures, pure functions of records."""
