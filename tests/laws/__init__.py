"""Laws that statistics and fits obey, whatever the data."""
