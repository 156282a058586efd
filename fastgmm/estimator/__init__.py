"""What the mixture estimators share; `base` puts the parts together."""
