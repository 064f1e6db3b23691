"""Job folders on disk: atomic files, records, reading them back."""
