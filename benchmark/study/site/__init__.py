"""Results as pages for a browser: static files that open from disk, without a network."""
