"""The contract: both kinds, a trial's record, and nothing but pydantic underneath."""
