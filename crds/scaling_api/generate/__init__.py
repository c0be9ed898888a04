"""What is written from the models: both CustomResourceDefinitions and the reference page."""
