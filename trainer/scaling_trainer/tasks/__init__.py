"""What can be trained: model, batches, loss and evaluation of each task."""
