"""Reproduction of the papers' claims: definitions, training runs, verdicts and result pages."""
