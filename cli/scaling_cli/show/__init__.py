"""What the commands print: tables and sentences of plans, laws and answers."""
