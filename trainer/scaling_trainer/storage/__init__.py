"""Storage that outlives machines: a folder, a claim or a bucket, with results that are whole or not there."""
