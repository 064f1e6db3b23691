"""What is learnt: batches, losses, scores."""
