"""The campaign: malformed files and kills, drawn from seeds, each judged by an oracle; see docs/reliability.md."""
