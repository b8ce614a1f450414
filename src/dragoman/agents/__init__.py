"""Trained policies without their training: played, recorded, exported and distilled."""
