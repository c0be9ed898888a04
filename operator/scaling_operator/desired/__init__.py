"""Pure builders of the objects that an experiment needs: one kind of object a file."""
