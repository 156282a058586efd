"""Grid, merge tree and threads: where chunks of rows run."""
