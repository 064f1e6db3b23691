"""What studies' figures are drawn by; each is a pure function of a study's data."""
