"""What studies' tables are built by; each is a pure function of a study's data."""
