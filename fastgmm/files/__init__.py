"""Files, whatever is in them: written whole or not at all; arrays in a sealed npz."""
