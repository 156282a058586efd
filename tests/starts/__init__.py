"""K-means of the package's own."""
